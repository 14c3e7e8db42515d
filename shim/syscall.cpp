// syscall(2): the calls that wait, or that name or end a thread, do what the libc functions of their names do; all others are the kernel's.
// Unlike those functions syscall is no cancellation point, and it takes the kernel's signal sets, of 8 bytes.
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/syscall.h>

#include "shim/os_thread.h"
#include "shim/real.h"
#include "sys/memory.h"

using vt::shim::errno_result;

namespace {

struct Arguments {
  long v[6];
  long operator[](int i) const { return v[i]; }
  template <class T>
  T* at(int i) const {
    return reinterpret_cast<T*>(v[i]);
  }
  int number(int i) const { return (int)v[i]; }
};

long kernel(long number, const Arguments& a) { return VT_REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]); }

/// The kernel's own call, off the carrier.
long announced(long number, const Arguments& a) {
  long r = -1;
  vt::blocking([&] { r = kernel(number, a); });
  return r;
}

// ---------------------------------------------------------------- futex(2)
// Private waits are in the wait table, whoever waits. Those of libc's own functions (stdio's locks and the like), and of bare system calls,
// are in the kernel: a wake-up goes to both, first to the table. What is malformed goes to the kernel, for its answer.

bool valid(const timespec& t) { return t.tv_sec >= 0 && t.tv_nsec >= 0 && t.tv_nsec < 1000000000; }

timespec from_now(const timespec& t) {
  timespec end;
  clock_gettime(CLOCK_MONOTONIC, &end);
  end.tv_nsec += t.tv_nsec;
  long carry = end.tv_nsec >= 1000000000;
  if (carry) end.tv_nsec -= 1000000000;
  if (__builtin_add_overflow(end.tv_sec, t.tv_sec, &end.tv_sec) || __builtin_add_overflow(end.tv_sec, carry, &end.tv_sec))
    end = {LONG_MAX, 999999999};
  return end;
}

struct Futex {
  uint32_t* word;
  int op, command;
  uint32_t value;
  uint32_t* second;
  int value2;
  uint32_t value3;
  const timespec* timeout;
  explicit Futex(const Arguments& a)
      : word(a.at<uint32_t>(0)), op(a.number(1)), command(op & FUTEX_CMD_MASK), value((uint32_t)a[2]), second(a.at<uint32_t>(4)),
        value2(a.number(3)), value3((uint32_t)a[5]), timeout(a.at<const timespec>(3)) {}

  bool is_private() const { return op & FUTEX_PRIVATE_FLAG; }
  /// The kernel wakes one at the least, whatever it is told.
  int wakes() const { return (int)value < 1 ? 1 : (int)value; }
};

long futex_wait(long number, const Arguments& a, const Futex& f) {
  bool absolute = f.command == FUTEX_WAIT_BITSET, realtime = f.op & FUTEX_CLOCK_REALTIME;
  uint32_t bits = absolute ? f.value3 : FUTEX_BITSET_MATCH_ANY;
  bool good = bits && (absolute || !realtime) && !((uintptr_t)f.word & 3) && vt::sys::readable(f.word, sizeof *f.word) &&
              (!f.timeout || (vt::sys::readable(f.timeout, sizeof *f.timeout) && valid(*f.timeout)));
  if (!good) return kernel(number, a);
  if (__atomic_load_n(f.word, __ATOMIC_SEQ_CST) != f.value) return f.is_private() ? errno_result(-EAGAIN) : kernel(number, a);
  // std::future's, for one, aren't marked as private, though their memory is.
  if (!f.is_private() && !vt::is_own_memory(f.word)) return announced(number, a);
  timespec end;
  if (f.timeout) end = absolute ? *f.timeout : from_now(*f.timeout);
  return errno_result(vt::futex_wait(f.word, f.value, realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC, f.timeout ? &end : nullptr, bits));
}

long futex_wake(long number, Arguments a, const Futex& f) {
  uint32_t bits = f.command == FUTEX_WAKE_BITSET ? f.value3 : FUTEX_BITSET_MATCH_ANY;
  if (!bits || ((uintptr_t)f.word & 3)) return kernel(number, a);
  int woken = vt::futex_wake(f.word, f.wakes(), bits);
  if (woken == f.wakes()) return woken;
  a.v[2] = f.wakes() - woken;
  long r = kernel(number, a);
  return r < 0 ? r : woken + r;
}

long futex_requeue(long number, Arguments a, const Futex& f) {
  bool compare = f.command == FUTEX_CMP_REQUEUE;
  bool good = (int)f.value >= 0 && f.value2 >= 0 && !((uintptr_t)f.word & 3) && !((uintptr_t)f.second & 3) &&
              (!compare || vt::sys::readable(f.word, sizeof *f.word));
  if (!good) return kernel(number, a);
  int moved = 0, woken = vt::futex_requeue(f.word, (int)f.value, f.second, f.value2, compare ? &f.value3 : nullptr, &moved);
  if (woken < 0) return kernel(number, a);  // EAGAIN, unless there is worse
  a.v[1] = FUTEX_REQUEUE | (f.op & FUTEX_PRIVATE_FLAG);  // compared already
  a.v[2] = (int)f.value - woken;
  a.v[3] = f.value2 - moved;
  long r = kernel(number, a);
  return r < 0 ? r : woken + moved + r;
}

/// FUTEX_WAKE_OP's change of the second word; its old value.
uint32_t change(uint32_t* word, int operation, uint32_t argument) {
  uint32_t old = __atomic_load_n(word, __ATOMIC_RELAXED), changed;
  do {
    switch (operation) {
      case FUTEX_OP_SET: changed = argument; break;
      case FUTEX_OP_ADD: changed = old + argument; break;
      case FUTEX_OP_OR: changed = old | argument; break;
      case FUTEX_OP_ANDN: changed = old & ~argument; break;
      default: changed = old ^ argument; break;
    }
  } while (!__atomic_compare_exchange_n(word, &old, changed, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
  return old;
}

bool holds(int old, int comparison, int argument) {
  switch (comparison) {
    case FUTEX_OP_CMP_EQ: return old == argument;
    case FUTEX_OP_CMP_NE: return old != argument;
    case FUTEX_OP_CMP_LT: return old < argument;
    case FUTEX_OP_CMP_LE: return old <= argument;
    case FUTEX_OP_CMP_GT: return old > argument;
    default: return old >= argument;
  }
}

long futex_wake_op(long number, const Arguments& a, const Futex& f) {
  // Fields: operation 4 bits (the highest: the argument is a shift), comparison 4, argument 12, its argument 12.
  int operation = f.value3 >> 28 & 7, comparison = f.value3 >> 24 & 15;
  int argument = (int)(f.value3 << 8) >> 20, with = (int)(f.value3 << 20) >> 20;
  bool shift = f.value3 >> 31;
  if (operation > FUTEX_OP_XOR || comparison > FUTEX_OP_CMP_GE || ((uintptr_t)f.word & 3)) return kernel(number, a);
  // The kernel changes nothing, for its answer: may the word be changed?
  uint32_t nobodys = 0;
  Arguments probe{{(long)&nobodys, a[1], 0, 0, a[4], (long)FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_LT, 0)}};
  if (kernel(number, probe) < 0) return -1;
  uint32_t old = change(f.second, operation, shift ? 1u << (argument & 31) : (uint32_t)argument);
  Arguments wake{{a[0], FUTEX_WAKE | (f.op & FUTEX_PRIVATE_FLAG), a[2], 0, 0, 0}};
  long first = futex_wake(number, wake, Futex(wake));
  if (first < 0 || !holds((int)old, comparison, with)) return first;
  wake.v[0] = a[4];
  wake.v[2] = f.value2;
  long second = futex_wake(number, wake, Futex(wake));
  return second < 0 ? second : first + second;
}

long futex(long number, const Arguments& a) {
  Futex f(a);
  // No clock but for two that wait.
  if ((f.op & FUTEX_CLOCK_REALTIME) && f.command != FUTEX_WAIT_BITSET && f.command != FUTEX_LOCK_PI2) return kernel(number, a);
  switch (f.command) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET: return futex_wait(number, a, f);
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET: return futex_wake(number, a, f);
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE: return futex_requeue(number, a, f);
    case FUTEX_WAKE_OP: return futex_wake_op(number, a, f);
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
    case FUTEX_WAIT_REQUEUE_PI: return announced(number, a);
    default: return kernel(number, a);
  }
}

// ---------------------------------------------------------------- those with other arguments than the functions of their names

/// The kernel's set as libc's; good() is false if it can't be read (EFAULT), or has another size (EINVAL).
class KernelSet {
 public:
  KernelSet(const void* set, size_t size) {
    if (!set) return;
    if (size != 8) error_ = EINVAL;
    else if (!vt::sys::readable(set, 8)) error_ = EFAULT;
    else memcpy(&set_, set, 8), given_ = true;
  }
  int error() const { return error_; }
  const sigset_t* get() const { return given_ ? &set_ : nullptr; }

 private:
  sigset_t set_{};
  bool given_ = false;
  int error_ = 0;
};

/// The kernel leaves in *timeout what is left of it.
class Remaining {
 public:
  explicit Remaining(timespec* timeout) : timeout_(timeout) {
    if (timeout && vt::sys::readable(timeout, sizeof *timeout)) end_ = from_now(*timeout);
    else timeout_ = nullptr;
  }
  ~Remaining() {
    if (!timeout_ || !valid(*timeout_)) return;
    timespec now;
    int e = errno;
    clock_gettime(CLOCK_MONOTONIC, &now);
    errno = e;
    timespec left{end_.tv_sec - now.tv_sec, end_.tv_nsec - now.tv_nsec};
    if (left.tv_nsec < 0) --left.tv_sec, left.tv_nsec += 1000000000;
    *timeout_ = left.tv_sec < 0 ? timespec{0, 0} : left;
  }

 private:
  timespec* timeout_;
  timespec end_;
};

/// A time that the kernel would read; false with errno set.
bool good_time(const timespec* t) {
  if (t && !vt::sys::readable(t, sizeof *t)) return errno = EFAULT, false;
  return !t || valid(*t) || (errno = EINVAL, false);
}

long raw_ppoll(const Arguments& a) {
  if (!good_time(a.at<timespec>(2))) return -1;
  KernelSet mask(a.at<void>(3), (size_t)a[4]);
  if (mask.error()) return errno_result(-mask.error());
  Remaining remaining(a.at<timespec>(2));
  return ppoll(a.at<pollfd>(0), (nfds_t)(unsigned)a[1], a.at<timespec>(2), mask.get());
}

long raw_pselect6(const Arguments& a) {
  struct Pair {
    const void* set;
    size_t size;
  } pair{nullptr, 8};
  if (const Pair* given = a.at<const Pair>(5)) {
    if (!vt::sys::readable(given, sizeof *given)) return errno_result(-EFAULT);
    pair = *given;
  }
  if (!good_time(a.at<timespec>(4))) return -1;
  KernelSet mask(pair.set, pair.size);
  if (mask.error()) return errno_result(-mask.error());
  Remaining remaining(a.at<timespec>(4));
  return pselect(a.number(0), a.at<fd_set>(1), a.at<fd_set>(2), a.at<fd_set>(3), a.at<timespec>(4), mask.get());
}

long raw_epoll_pwait(const Arguments& a) {
  KernelSet mask(a.at<void>(4), (size_t)a[5]);
  if (mask.error()) return errno_result(-mask.error());
  return epoll_pwait(a.number(0), a.at<epoll_event>(1), a.number(2), a.number(3), mask.get());
}
long raw_epoll_pwait2(const Arguments& a) {
  if (!good_time(a.at<timespec>(3))) return -1;
  KernelSet mask(a.at<void>(4), (size_t)a[5]);
  if (mask.error()) return errno_result(-mask.error());
  return epoll_pwait2(a.number(0), a.at<epoll_event>(1), a.number(2), a.at<timespec>(3), mask.get());
}

long raw_select(const Arguments& a) {
  if (a[4] && !vt::sys::readable(a.at<void>(4), sizeof(timeval))) return errno_result(-EFAULT);
  return select(a.number(0), a.at<fd_set>(1), a.at<fd_set>(2), a.at<fd_set>(3), a.at<timeval>(4));
}

long raw_clock_nanosleep(long number, const Arguments& a) {
  if (a[0] < 0 || a[0] == CLOCK_PROCESS_CPUTIME_ID || a[0] == CLOCK_THREAD_CPUTIME_ID) return announced(number, a);
  return errno_result(-clock_nanosleep(a.number(0), a.number(1), a.at<timespec>(2), a.at<timespec>(3)));
}

long raw_sigprocmask(long number, const Arguments& a) {
  if (!vt::on_vthread() || a[3] != 8 || (!a[1] && !a[2])) return kernel(number, a);
  KernelSet set(a.at<void>(1), 8);
  if (set.error()) return errno_result(-set.error());
  sigset_t old;
  if (sigprocmask(a.number(0), set.get(), &old) < 0) return -1;
  if (a[2] && !vt::sys::writable(a.at<void>(2), 8)) return errno_result(-EFAULT);
  if (a[2]) memcpy(a.at<void>(2), &old, 8);
  return 0;
}

long raw_sched_getaffinity(long number, Arguments a) {
  bool mine = vt::on_vthread() && (a[0] == 0 || a[0] == vt::thread_id());
  if (mine) a.v[0] = 0;
  long r = kernel(number, a);  // the size that it tells, and its errors
  if (mine && r > 0) vt::thread_get_affinity(pthread_self(), (size_t)r, a.at<cpu_set_t>(2));
  return r;
}

long raw_exit(long number, const Arguments& a) {
  if (vt::has_virtual_signals()) vt::thread_exit_now();
  if (vt::on_vthread()) pthread_exit(nullptr);  // main: its OS thread is a carrier, which others need
  return kernel(number, a);
}

long raw_tkill(long number, const Arguments& a) {
  int r = vt::thread_tgkill(0, a.number(0), a.number(1));
  return r == vt::kNotVirtual ? kernel(number, a) : errno_result(r);
}

// ---------------------------------------------------------------- the switch

/// Those that never wait: for any thread. False: not one of them.
bool without_wait(long number, const Arguments& a, long* r) {
  switch (number) {
    case SYS_tgkill: *r = tgkill(a.number(0), a.number(1), a.number(2)); return true;
    case SYS_kill: *r = kill(a.number(0), a.number(1)); return true;
    case SYS_tkill: *r = raw_tkill(number, a); return true;
    case SYS_execve: *r = execve(a.at<char>(0), a.at<char*>(1), a.at<char*>(2)); return true;
    case SYS_execveat: *r = execveat(a.number(0), a.at<char>(1), a.at<char*>(2), a.at<char*>(3), a.number(4)); return true;
    case SYS_close: *r = close(a.number(0)); return true;
    case SYS_dup2: *r = dup2(a.number(0), a.number(1)); return true;
    case SYS_dup3: *r = dup3(a.number(0), a.number(1), a.number(2)); return true;
    case SYS_close_range: *r = close_range((unsigned)a[0], (unsigned)a[1], a.number(2)); return true;
    case SYS_ioctl: *r = ioctl(a.number(0), (unsigned long)a[1], a[2]); return true;
    case SYS_setsockopt: *r = setsockopt(a.number(0), a.number(1), a.number(2), a.at<void>(3), (socklen_t)a[4]); return true;
    case SYS_rt_sigprocmask: *r = raw_sigprocmask(number, a); return true;
    case SYS_sigaltstack: *r = sigaltstack(a.at<stack_t>(0), a.at<stack_t>(1)); return true;
    case SYS_sched_getaffinity: *r = raw_sched_getaffinity(number, a); return true;
    case SYS_sched_setaffinity: *r = sched_setaffinity(a.number(0), (size_t)a[1], a.at<cpu_set_t>(2)); return true;
    default: return vt::shim::os_thread_call(number, a.v, r);
  }
}

/// Those that may wait, on a virtual thread. False: not one of them.
bool with_wait(long number, const Arguments& a, long* r) {
  switch (number) {
    case SYS_read: *r = read(a.number(0), a.at<void>(1), (size_t)a[2]); return true;
    case SYS_write: *r = write(a.number(0), a.at<void>(1), (size_t)a[2]); return true;
    case SYS_readv: *r = readv(a.number(0), a.at<iovec>(1), a.number(2)); return true;
    case SYS_writev: *r = writev(a.number(0), a.at<iovec>(1), a.number(2)); return true;
    case SYS_pread64: *r = pread64(a.number(0), a.at<void>(1), (size_t)a[2], a[3]); return true;
    case SYS_pwrite64: *r = pwrite64(a.number(0), a.at<void>(1), (size_t)a[2], a[3]); return true;
    case SYS_preadv: *r = preadv64(a.number(0), a.at<iovec>(1), a.number(2), a[3]); return true;
    case SYS_pwritev: *r = pwritev64(a.number(0), a.at<iovec>(1), a.number(2), a[3]); return true;
    case SYS_preadv2: *r = preadv64v2(a.number(0), a.at<iovec>(1), a.number(2), a[3], a.number(5)); return true;
    case SYS_pwritev2: *r = pwritev64v2(a.number(0), a.at<iovec>(1), a.number(2), a[3], a.number(5)); return true;
    case SYS_fsync: *r = fsync(a.number(0)); return true;
    case SYS_fdatasync: *r = fdatasync(a.number(0)); return true;
    case SYS_sendfile: *r = sendfile64(a.number(0), a.number(1), a.at<off64_t>(2), (size_t)a[3]); return true;
    case SYS_flock: *r = flock(a.number(0), a.number(1)); return true;
    case SYS_fcntl: *r = fcntl64(a.number(0), a.number(1), a[2]); return true;
    case SYS_recvfrom: *r = recvfrom(a.number(0), a.at<void>(1), (size_t)a[2], a.number(3), a.at<sockaddr>(4), a.at<socklen_t>(5)); return true;
    case SYS_recvmsg: *r = recvmsg(a.number(0), a.at<msghdr>(1), a.number(2)); return true;
    case SYS_sendto: *r = sendto(a.number(0), a.at<void>(1), (size_t)a[2], a.number(3), a.at<sockaddr>(4), (socklen_t)a[5]); return true;
    case SYS_sendmsg: *r = sendmsg(a.number(0), a.at<msghdr>(1), a.number(2)); return true;
    case SYS_accept: *r = accept(a.number(0), a.at<sockaddr>(1), a.at<socklen_t>(2)); return true;
    case SYS_accept4: *r = accept4(a.number(0), a.at<sockaddr>(1), a.at<socklen_t>(2), a.number(3)); return true;
    case SYS_connect: *r = connect(a.number(0), a.at<sockaddr>(1), (socklen_t)a[2]); return true;
    case SYS_poll: *r = poll(a.at<pollfd>(0), (nfds_t)(unsigned)a[1], a.number(2)); return true;
    case SYS_ppoll: *r = raw_ppoll(a); return true;
    case SYS_select: *r = raw_select(a); return true;
    case SYS_pselect6: *r = raw_pselect6(a); return true;
    case SYS_epoll_wait: *r = epoll_wait(a.number(0), a.at<epoll_event>(1), a.number(2), a.number(3)); return true;
    case SYS_epoll_pwait: *r = raw_epoll_pwait(a); return true;
    case SYS_epoll_pwait2: *r = raw_epoll_pwait2(a); return true;
    case SYS_nanosleep: *r = nanosleep(a.at<timespec>(0), a.at<timespec>(1)); return true;
    case SYS_clock_nanosleep: *r = raw_clock_nanosleep(number, a); return true;
    case SYS_sched_yield: *r = sched_yield(); return true;
    case SYS_wait4: *r = wait4(a.number(0), a.at<int>(1), a.number(2), a.at<struct rusage>(3)); return true;
    case SYS_waitid:
      *r = errno_result(vt::io_waitid((idtype_t)a[0], (id_t)a[1], a.at<siginfo_t>(2), a.number(3), a.at<struct rusage>(4)));
      return true;
    case SYS_pause: *r = pause(); return true;
    case SYS_recvmmsg: *r = recvmmsg(a.number(0), a.at<mmsghdr>(1), (unsigned)a[2], a.number(3), a.at<timespec>(4)); return true;
    case SYS_sendmmsg: *r = sendmmsg(a.number(0), a.at<mmsghdr>(1), (unsigned)a[2], a.number(3)); return true;
    case SYS_open: *r = open(a.at<char>(0), a.number(1), a.number(2)); return true;
    case SYS_openat: *r = openat(a.number(0), a.at<char>(1), a.number(2), a.number(3)); return true;
    case SYS_splice: *r = splice(a.number(0), a.at<off64_t>(1), a.number(2), a.at<off64_t>(3), (size_t)a[4], (unsigned)a[5]); return true;
    case SYS_tee: *r = tee(a.number(0), a.number(1), (size_t)a[2], (unsigned)a[3]); return true;
    case SYS_semop: *r = semop(a.number(0), a.at<sembuf>(1), (size_t)a[2]); return true;
    case SYS_semtimedop: *r = semtimedop(a.number(0), a.at<sembuf>(1), (size_t)a[2], a.at<timespec>(3)); return true;
    case SYS_msgrcv: *r = msgrcv(a.number(0), a.at<void>(1), (size_t)a[2], a[3], a.number(4)); return true;
    case SYS_msgsnd: *r = msgsnd(a.number(0), a.at<void>(1), (size_t)a[2], a.number(3)); return true;
    case SYS_futex_waitv: *r = announced(number, a); return true;
    default: return false;
  }
}

/// The functions' cancellation points are none while this stands; but whoever is cancelled asynchronously is so anywhere.
class Uncancelled {
 public:
  Uncancelled() : is_(!vt::thread_is_async()) {
    if (is_) pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_);
  }
  ~Uncancelled() {
    if (is_) pthread_setcancelstate(before_, nullptr);
  }

 private:
  bool is_;
  int before_ = PTHREAD_CANCEL_ENABLE;
};

}  // namespace

VT_EXPORT long syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  Arguments a;
  for (long& x : a.v) x = va_arg(list, long);
  va_end(list);
  if (!vt::active()) return kernel(number, a);
  switch (number) {
    case SYS_futex: return futex(number, a);
    case SYS_gettid: return vt::thread_id();
    case SYS_set_tid_address:  // the kernel would clear it at the carrier's end instead of the thread's, and the carrier's own be lost
      if (vt::on_vthread()) return vt::thread_id();
      break;
    case SYS_exit: return raw_exit(number, a);
    case SYS_exit_group: vt::process_ends(); return kernel(number, a);
    default: break;
  }
  Uncancelled uncancelled;
  long r;
  if (without_wait(number, a, &r) || (vt::call_can_park() && with_wait(number, a, &r))) return r;
  return number == SYS_fcntl ? fcntl64(a.number(0), a.number(1), a[2]) : kernel(number, a);
}
