#include "core/os_numbers.h"

#include <errno.h>
#include <linux/prctl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "api.h"
#include "core/vthread.h"
#include "sys/raw.h"

namespace vt {

void os_numbers_inherit(VThread* v) noexcept {
  VThread* creator = current();
  v->nice = creator ? creator->nice : kNobodySaid;
  v->slack = v->default_slack = creator ? creator->slack : 0;
}

namespace {
// Main's policy is its OS thread's. It's asked for once, so that a thread that main starts costs no system call for it.
constexpr uint64_t kUnknown = ~0ull;
std::atomic<uint64_t> main_policy{kUnknown};  // and, above it, the priority
constexpr int kResetOnFork = 0x40000000;      // SCHED_RESET_ON_FORK

uint64_t os_policy(pid_t tid) noexcept {
  int priority = 0;
  long policy = sys::raw(SYS_sched_getscheduler, tid);
  sys::raw(SYS_sched_getparam, tid, &priority);
  return policy < 0 ? 0 : (uint64_t)policy | (uint64_t)(uint32_t)priority << 32;
}
}  // namespace

void thread_note_policy() noexcept { main_policy.store(kUnknown, std::memory_order_release); }

void policy_inherit(int* policy, int* priority) noexcept {
  VThread* creator = current();
  if (creator && !creator->is_main) {
    *policy = creator->policy, *priority = creator->priority;
  } else {
    uint64_t now = creator ? main_policy.load(std::memory_order_acquire) : os_policy(0);
    if (now == kUnknown) main_policy.store(now = os_policy(getpid()), std::memory_order_release);  // a change that comes after this is seen next time
    *policy = (int)(uint32_t)now, *priority = (int)(now >> 32);
  }
  if (!(*policy & kResetOnFork)) return;
  *policy &= ~kResetOnFork;  // sched(7)
  if (*policy == SCHED_FIFO || *policy == SCHED_RR) *policy = SCHED_OTHER, *priority = 0;
}

int policy_judge(int policy, int priority) noexcept {
  int least = sched_get_priority_min(policy & ~kResetOnFork), most = sched_get_priority_max(policy & ~kResetOnFork);
  if (least < 0 || priority < least || priority > most) return -EINVAL;
  rlimit limit{};
  bool real_time = policy == SCHED_FIFO || policy == SCHED_RR;
  if (real_time && geteuid() != 0 && (getrlimit(RLIMIT_RTPRIO, &limit) || limit.rlim_cur < (rlim_t)priority)) return -EPERM;
  return 0;
}

namespace {
// What the main OS thread is called, so that a thread that main starts costs no system call for it. Main's own but for `main_name_known`.
char main_name[16];
std::atomic<bool> main_name_known{false};
}  // namespace

void name_inherit(VThread* v) noexcept {
  VThread* creator = current();
  char name[16] = {};
  if (creator && !creator->is_main) {
    creator->get_name(name);
  } else if (creator && main_name_known.load(std::memory_order_acquire)) {
    memcpy(name, main_name, sizeof name);
  } else {
    bool mains = creator && sys::raw(SYS_gettid) == sys::raw(SYS_getpid);  // else main makes an announced call, on another OS thread
    if (mains) main_name_known.store(true, std::memory_order_release);     // a new name that comes after this is seen next time
    sys::raw(SYS_prctl, PR_GET_NAME, name);
    if (mains) memcpy(main_name, name, sizeof name);
  }
  v->set_name(name);
}

void thread_note_name() noexcept { main_name_known.store(false, std::memory_order_release); }

// Nobody said: carriers have what the process began with. The system call tells 20 - nice.
int thread_get_nice() noexcept {
  VThread* v = current();
  return v->nice != kNobodySaid ? v->nice : 20 - (int)sys::raw(SYS_getpriority, PRIO_PROCESS, 0);
}

int thread_set_nice(int nice) noexcept {
  nice = nice < -20 ? -20 : nice > 19 ? 19 : nice;
  rlimit limit{};
  if (nice < thread_get_nice() && geteuid() != 0 && (getrlimit(RLIMIT_NICE, &limit) || limit.rlim_cur < (rlim_t)(20 - nice))) return -EACCES;
  current()->nice = nice;
  return 0;
}

void thread_note_nice(int nice) noexcept {
  if (VThread* v = current()) v->nice = nice;
}

unsigned long thread_get_slack() noexcept {
  VThread* v = current();
  return v->slack ? v->slack : (unsigned long)sys::raw(SYS_prctl, PR_GET_TIMERSLACK);
}

void thread_set_slack(unsigned long slack) noexcept {
  VThread* v = current();
  v->slack = slack ? slack : v->default_slack;
}

}  // namespace vt
