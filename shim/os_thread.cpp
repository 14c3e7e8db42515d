// What Linux keeps for each OS thread: name, nice value and timer slack, which a virtual thread has as numbers of its own; namespaces,
// capabilities, seccomp filters and the like, for which it is pinned for good. setns(2), unshare(2), prctl(2), capset(2), setfsuid(2),
// setpriority(2), set*id(2); seccomp(2) and the set*id calls by syscall(2), which glibc's functions of these names spread over all threads.
#include "shim/os_thread.h"

#include <grp.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "shim/real.h"
#include "sys/memory.h"

using vt::shim::errno_result;
using vt::shim::NumbersShown;

namespace {

/// `changed` tells from the call's result whether the OS thread is another now.
template <class Call, class Changed>
long pinned_for_good(Call&& call, Changed&& changed) {
  if (!vt::on_vthread()) return call();
  if (int r = vt::pin(); r < 0) return errno_result(r);
  long r = call();
  int e = errno;
  if (changed(r)) vt::pin_for_good();
  else vt::unpin();
  errno = e;
  return r;
}
template <class Call>
long pinned_for_good(Call&& call) {
  return pinned_for_good(call, [](long r) { return r >= 0; });
}

template <class Call>
long boxed(Call&& call) {
  bool was = vt::is_boxed();
  return pinned_for_good([&] {
    if (!was) vt::box();
    long r = call();
    int e = errno;
    if (r < 0 && !was) vt::unbox();
    errno = e;
    return r;
  });
}

// ---------------------------------------------------------------- prctl's options: those that aren't here are the process's, or only ask

enum class Belongs { kProcess, kThread, kNumber };
struct Option {
  int number;
  Belongs to;
};
constexpr Option kOptions[] = {
    {PR_SET_NAME, Belongs::kNumber},
    {PR_GET_NAME, Belongs::kNumber},
    {PR_SET_TIMERSLACK, Belongs::kNumber},
    {PR_GET_TIMERSLACK, Belongs::kNumber},
    {PR_SET_PDEATHSIG, Belongs::kThread},             // lasts as long as the thread that asked for it
    {PR_SET_NO_NEW_PRIVS, Belongs::kThread},          // can't be undone
    {PR_SET_KEEPCAPS, Belongs::kThread},              // credentials, as the next three
    {PR_SET_SECUREBITS, Belongs::kThread},
    {PR_CAPBSET_DROP, Belongs::kThread},
    {PR_SET_TSC, Belongs::kThread},                   // a flag of the task's, as the rest
    {PR_MCE_KILL, Belongs::kThread},
    {PR_SET_SPECULATION_CTRL, Belongs::kThread},
    {PR_SET_IO_FLUSHER, Belongs::kThread},
    {PR_SET_SYSCALL_USER_DISPATCH, Belongs::kThread},
};

Belongs owner_of(int option, unsigned long second) {
  if (option == PR_CAP_AMBIENT) return second == PR_CAP_AMBIENT_IS_SET ? Belongs::kProcess : Belongs::kThread;
  for (const Option& o : kOptions)
    if (o.number == option) return o.to;
  return Belongs::kProcess;
}

int set_name(const char* name) {
  char copy[16] = {};
  bool all = vt::sys::readable(name, 15);
  for (int i = 0; i < 15; ++i) {
    if (!all && !vt::sys::readable(name + i, 1)) return -EFAULT;
    if (!(copy[i] = name[i])) break;
  }
  return vt::thread_set_name(pthread_self(), copy);
}
int get_name(char* name) {
  if (!vt::sys::writable(name, 16)) return -EFAULT;
  char copy[16] = {};  // all 16 are written
  vt::thread_get_name(pthread_self(), copy, sizeof copy);
  memcpy(name, copy, sizeof copy);
  return 0;
}

/// For a virtual thread other than main, whose are its OS thread's.
long number_option(int option, unsigned long value) {
  switch (option) {
    case PR_SET_NAME: return set_name((const char*)value);
    case PR_GET_NAME: return get_name((char*)value);
    case PR_SET_TIMERSLACK: vt::thread_set_slack(value); return 0;
    default: return (long)vt::thread_get_slack();
  }
}

}  // namespace

VT_EXPORT int prctl(int option, ...) {
  va_list list;
  va_start(list, option);
  unsigned long a[4];
  for (unsigned long& x : a) x = va_arg(list, unsigned long);
  va_end(list);
  auto call = [&] { return VT_REAL(prctl)(option, a[0], a[1], a[2], a[3]); };
  if (option == PR_SET_SECCOMP) return (int)boxed(call);
  switch (owner_of(option, a[0])) {
    case Belongs::kThread: return (int)pinned_for_good(call);
    case Belongs::kProcess: return call();
    case Belongs::kNumber: break;
  }
  if (vt::has_virtual_signals()) return (int)errno_result(number_option(option, a[0]));
  int r = call();
  if (option == PR_SET_NAME) vt::thread_note_name();
  if (r == 0 && option == PR_SET_TIMERSLACK && vt::on_vthread()) vt::thread_set_slack(a[0]);  // main's threads inherit it
  return r;
}

// ---------------------------------------------------------------- namespaces and credentials

VT_EXPORT int setns(int fd, int kind) {
  return (int)pinned_for_good([&] { return VT_REAL(setns)(fd, kind); });
}
VT_EXPORT int unshare(int flags) {
  return (int)pinned_for_good([&] { return VT_REAL(unshare)(flags); });
}
VT_EXPORT int capset(vt::shim::CapHeader* header, const vt::shim::CapData* data) {
  return (int)pinned_for_good([&] { return VT_REAL(capset)(header, data); });
}
// These return the old id, also if they fail.
VT_EXPORT int setfsuid(uid_t id) {
  return (int)pinned_for_good([&] { return VT_REAL(setfsuid)(id); }, [&](long old) { return (uid_t)old != (uid_t)VT_REAL(setfsuid)((uid_t)-1); });
}
VT_EXPORT int setfsgid(gid_t id) {
  return (int)pinned_for_good([&] { return VT_REAL(setfsgid)(id); }, [&](long old) { return (gid_t)old != (gid_t)VT_REAL(setfsgid)((gid_t)-1); });
}

// ---------------------------------------------------------------- nice values: numbers that are kept, as scheduling policies are

namespace {
bool means_me(int which, id_t who) { return which == PRIO_PROCESS && (who == 0 || (pid_t)who == vt::thread_id()); }
}  // namespace

VT_EXPORT int getpriority(__priority_which_t which, id_t who) {
  if (!vt::has_virtual_signals() || !means_me((int)which, who)) return VT_REAL(getpriority)(which, who);
  return vt::thread_get_nice();
}
VT_EXPORT int setpriority(__priority_which_t which, id_t who, int nice) {
  bool mine = vt::on_vthread() && means_me((int)which, who);
  if (mine && vt::has_virtual_signals()) return (int)errno_result(vt::thread_set_nice(nice));
  int r = VT_REAL(setpriority)(which, who, nice);
  if (r == 0 && mine) vt::thread_note_nice(VT_REAL(getpriority)(which, who));
  return r;
}
VT_EXPORT int nice(int step) {
  if (!vt::on_vthread()) return VT_REAL(nice)(step);
  if (!vt::has_virtual_signals()) {
    int before = errno, now = VT_REAL(nice)(step);
    if (now != -1 || errno == before) vt::thread_note_nice(now);
    return now;
  }
  int now;
  if (__builtin_add_overflow(vt::thread_get_nice(), step, &now)) now = step < 0 ? -20 : 19;
  if (vt::thread_set_nice(now) < 0) return (int)errno_result(-EPERM);
  return vt::thread_get_nice();
}

// ---------------------------------------------------------------- the same by syscall(2)

bool vt::shim::os_thread_call(long number, const long (&a)[6], long* r) {
  auto kernel = [&] { return VT_REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]); };
  switch (number) {
    case SYS_prctl: *r = prctl((int)a[0], a[1], a[2], a[3], a[4]); return true;
    case SYS_setpriority: *r = setpriority((__priority_which_t)a[0], (id_t)a[1], (int)a[2]); return true;
    case SYS_getpriority: {
      int before = errno;
      errno = 0;
      *r = getpriority((__priority_which_t)a[0], (id_t)a[1]);
      if (*r != -1 || errno == 0) *r = 20 - *r, errno = before;
      return true;
    }
    case SYS_fork: *r = forked(kernel); return true;
    case SYS_clone:  // one with a stack doesn't come back by this way
      if ((a[0] & CLONE_VM) || a[1]) return false;
      *r = forked(kernel);
      return true;
    case SYS_setfsuid: *r = setfsuid((uid_t)a[0]); return true;
    case SYS_setfsgid: *r = setfsgid((gid_t)a[0]); return true;
    case SYS_seccomp:
      if ((unsigned)a[0] > SECCOMP_SET_MODE_FILTER || (a[1] & SECCOMP_FILTER_FLAG_TSYNC)) return false;
      *r = boxed(kernel);
      return true;
    case SYS_setns: case SYS_unshare: case SYS_capset: case SYS_setgroups: case SYS_setuid: case SYS_setgid: case SYS_setreuid:
    case SYS_setregid: case SYS_setresuid: case SYS_setresgid: *r = pinned_for_good(kernel); return true;
    default: return false;
  }
}

// ---------------------------------------------------------------- set*id(2): libc has each of its OS threads obey

namespace {
template <class Call>
int on_all(Call&& call) {
  NumbersShown shown;
  return shown.error() ? (errno = shown.error(), -1) : call();
}
}  // namespace
VT_EXPORT int setuid(uid_t id) {
  return on_all([&] { return VT_REAL(setuid)(id); });
}
VT_EXPORT int seteuid(uid_t id) {
  return on_all([&] { return VT_REAL(seteuid)(id); });
}
VT_EXPORT int setreuid(uid_t real, uid_t effective) {
  return on_all([&] { return VT_REAL(setreuid)(real, effective); });
}
VT_EXPORT int setresuid(uid_t real, uid_t effective, uid_t saved) {
  return on_all([&] { return VT_REAL(setresuid)(real, effective, saved); });
}
VT_EXPORT int setgid(gid_t id) {
  return on_all([&] { return VT_REAL(setgid)(id); });
}
VT_EXPORT int setegid(gid_t id) {
  return on_all([&] { return VT_REAL(setegid)(id); });
}
VT_EXPORT int setregid(gid_t real, gid_t effective) {
  return on_all([&] { return VT_REAL(setregid)(real, effective); });
}
VT_EXPORT int setresgid(gid_t real, gid_t effective, gid_t saved) {
  return on_all([&] { return VT_REAL(setresgid)(real, effective, saved); });
}
VT_EXPORT int setgroups(size_t count, const gid_t* groups) {
  return on_all([&] { return VT_REAL(setgroups)(count, groups); });
}
