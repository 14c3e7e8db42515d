// Signals: sigaction(2), signal(2), sigprocmask(2), sigaltstack(2), pthread_kill(3), sigsuspend(2), sigwait(3) and siglongjmp(3).
// Main is a virtual thread whose OS thread takes the process's signals; the others' masks and pending signals are ours (DESIGN.md rule 17).
#include <setjmp.h>
#include <ucontext.h>

#include "shim/real.h"
#include "sys/memory.h"

using vt::shim::cancellation_point;
using vt::shim::errno_result;
using vt::shim::of_os_thread;
using vt::sys::readable;

VT_EXPORT int sigaction(int signal, const struct sigaction* action, struct sigaction* old) {
  if (signal < 1 || signal >= NSIG || signal == 32 || signal == 33) return (int)errno_result(-EINVAL);  // before it looks at *action
  return (int)errno_result(vt::signal_action(signal, action, old));
}

namespace {

/// Signals whose signal(2) handlers don't restart calls: siginterrupt(3).
uint64_t interrupting = 0;
uint64_t bit(int signal) { return signal >= 1 && signal <= 64 ? 1ull << (signal - 1) : 0; }

sighandler_t set_handler(int signal, sighandler_t handler, int flags, bool mask_itself) {
  struct sigaction action {}, old;
  action.sa_handler = handler;
  action.sa_flags = flags;
  if (mask_itself) sigaddset(&action.sa_mask, signal);
  if (handler == SIG_ERR || signal < 1 || signal >= NSIG) return errno = EINVAL, SIG_ERR;
  return sigaction(signal, &action, &old) ? SIG_ERR : old.sa_handler;
}

}  // namespace

VT_EXPORT sighandler_t signal(int signal, sighandler_t handler) {
  bool interrupts = __atomic_load_n(&interrupting, __ATOMIC_RELAXED) & bit(signal);
  return set_handler(signal, handler, interrupts ? 0 : SA_RESTART, true);
}
VT_EXPORT sighandler_t bsd_signal(int number, sighandler_t handler) { return signal(number, handler); }
VT_EXPORT sighandler_t ssignal(int number, sighandler_t handler) { return signal(number, handler); }
VT_EXPORT sighandler_t sysv_signal(int signal, sighandler_t handler) {
  return set_handler(signal, handler, (int)(SA_RESETHAND | SA_NODEFER), false);
}
VT_EXPORT sighandler_t __sysv_signal(int signal, sighandler_t handler) { return sysv_signal(signal, handler); }
VT_EXPORT int siginterrupt(int signal, int interrupt) {
  struct sigaction action;
  if (sigaction(signal, nullptr, &action)) return -1;
  if (interrupt) {
    __atomic_or_fetch(&interrupting, bit(signal), __ATOMIC_RELAXED);
    action.sa_flags &= ~SA_RESTART;
  } else {
    __atomic_and_fetch(&interrupting, ~bit(signal), __ATOMIC_RELAXED);
    action.sa_flags |= SA_RESTART;
  }
  return sigaction(signal, &action, nullptr);
}

namespace {
int set_mask(int how, const sigset_t* set, sigset_t* old) {
  sigset_t before;
  int r = vt::thread_sigmask(how, set, &before);
  if (r == 0 && old && !vt::sys::writable(old, 8)) return -EFAULT;
  if (r == 0 && old) *old = before;
  return r;
}
}  // namespace
VT_EXPORT int pthread_sigmask(int how, const sigset_t* set, sigset_t* old) {
  if (!vt::on_vthread()) return VT_REAL(pthread_sigmask)(how, set, old);
  return -set_mask(how, set, old);
}
VT_EXPORT int sigprocmask(int how, const sigset_t* set, sigset_t* old) {
  if (!vt::on_vthread()) return VT_REAL(sigprocmask)(how, set, old);
  return (int)errno_result(set_mask(how, set, old));
}
VT_EXPORT int sigaltstack(const stack_t* stack, stack_t* old) {
  if (!vt::has_own_signal_stack()) return VT_REAL(sigaltstack)(stack, old);
  stack_t before;
  int r = stack && !readable(stack, sizeof *stack) ? -EFAULT : vt::thread_sigaltstack(stack, &before);
  if (r == 0 && old && !vt::sys::writable(old, sizeof *old)) r = -EFAULT;
  if (r == 0 && old) *old = before;
  return (int)errno_result(r);
}
namespace {
bool is_libcs(int signal) { return signal == 32 || signal == 33; }
siginfo_t queued_info(int signal, const union sigval value) {
  siginfo_t info{};
  info.si_signo = signal;
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value = value;
  return info;
}
bool is_virtuals(pthread_t thread) { return pthread_equal(thread, pthread_self()) ? vt::has_virtual_signals() : vt::is_vthread(thread); }
}  // namespace
VT_EXPORT int pthread_kill(pthread_t thread, int signal) {
  if (!is_virtuals(thread)) {
    int r = is_libcs(signal) || !vt::is_main_handle(thread) ? vt::kNotVirtual : vt::main_kill(getpid(), signal);
    if (r != vt::kNotVirtual) return -r;
    return of_os_thread(thread, [&] { return VT_REAL(pthread_kill)(thread, signal); }, [&] {
      return is_libcs(signal) ? EINVAL : (int)-vt::sys::raw(SYS_tgkill, getpid(), getpid(), signal);
    });
  }
  if (is_libcs(signal)) return EINVAL;
  return -vt::thread_kill(thread, signal);
}
VT_EXPORT int pthread_sigqueue(pthread_t thread, int signal, const union sigval value) {
  siginfo_t info = queued_info(signal, value);
  if (is_virtuals(thread)) return -vt::thread_queue(thread, signal, &info);
  return of_os_thread(thread, [&] { return VT_REAL(pthread_sigqueue)(thread, signal, value); }, [&] {
    return is_libcs(signal) ? EINVAL : (int)-vt::sys::raw(SYS_rt_tgsigqueueinfo, getpid(), getpid(), signal, &info);
  });
}
VT_EXPORT int sigpending(sigset_t* set) {
  bool shows_mains = vt::signals_show_mains();
  if (shows_mains) vt::signal_take_pipe();  // the caller's own among them
  int r = VT_REAL(sigpending)(set);
  if (r == 0 && shows_mains) {
    uint64_t process = vt::process_pending_signals();
    for (int s = 1; s < NSIG; ++s)
      if (!(process & bit(s))) sigdelset(set, s);
  }
  uint64_t mine = r == 0 ? vt::thread_pending_signals() : 0;
  for (int s = 1; mine; ++s, mine >>= 1)
    if (mine & 1) sigaddset(set, s);
  return r;
}
VT_EXPORT int tgkill(pid_t process, pid_t thread, int signal) {
  int r = process > 0 ? vt::thread_tgkill(process, thread, signal) : vt::kNotVirtual;
  if (r == vt::kNotVirtual && process == getpid()) r = vt::main_kill(thread, signal);
  return r == vt::kNotVirtual ? VT_REAL(tgkill)(process, thread, signal) : (int)errno_result(r);
}
VT_EXPORT int kill(pid_t process, int signal) {
  int r = vt::process_queue(process, signal, nullptr);
  return r == vt::kNotVirtual ? VT_REAL(kill)(process, signal) : (int)errno_result(r);
}
VT_EXPORT int sigqueue(pid_t process, int signal, const union sigval value) {
  siginfo_t info = queued_info(signal, value);
  int r = vt::process_queue(process, signal, &info);
  return r == vt::kNotVirtual ? VT_REAL(sigqueue)(process, signal, value) : (int)errno_result(r);
}
VT_EXPORT int gsignal(int signal) { return raise(signal); }
VT_EXPORT int raise(int signal) {
  if (!vt::has_virtual_signals()) return VT_REAL(raise)(signal);
  if (is_libcs(signal)) return (int)errno_result(-EINVAL);
  return (int)errno_result(vt::thread_kill(pthread_self(), signal));
}

// ---------------------------------------------------------------- masks in the manners of BSD and System V: sigblock(3), sigset(3)

namespace {
int change_mask(int how, int signal) {
  sigset_t set;
  sigemptyset(&set);
  return sigaddset(&set, signal) ? -1 : sigprocmask(how, &set, nullptr);
}
int change_word(int how, const unsigned* mask) {
  sigset_t set, old;
  sigemptyset(&set);
  if (mask) memcpy(&set, mask, sizeof *mask);
  sigprocmask(how, mask ? &set : nullptr, &old);
  int before;
  memcpy(&before, &old, sizeof before);
  return before;
}
}  // namespace

VT_EXPORT int sigblock(int mask) { return change_word(SIG_BLOCK, (const unsigned*)&mask); }
VT_EXPORT int sigsetmask(int mask) { return change_word(SIG_SETMASK, (const unsigned*)&mask); }
VT_EXPORT int siggetmask() { return change_word(SIG_BLOCK, nullptr); }
VT_EXPORT int sighold(int signal) { return change_mask(SIG_BLOCK, signal); }
VT_EXPORT int sigrelse(int signal) { return change_mask(SIG_UNBLOCK, signal); }
VT_EXPORT int sigignore(int signal) { return set_handler(signal, SIG_IGN, 0, false) == SIG_ERR ? -1 : 0; }
VT_EXPORT sighandler_t sigset(int signal, sighandler_t what) {
  sigset_t set, old;
  sigemptyset(&set);
  if (what == SIG_ERR || sigaddset(&set, signal)) return errno = EINVAL, SIG_ERR;
  struct sigaction before;
  if (what == SIG_HOLD) {
    if (sigprocmask(SIG_BLOCK, &set, &old) || sigaction(signal, nullptr, &before)) return SIG_ERR;
    return sigismember(&old, signal) ? SIG_HOLD : before.sa_handler;
  }
  sighandler_t was = set_handler(signal, what, 0, false);
  if (was == SIG_ERR || sigprocmask(SIG_UNBLOCK, &set, &old)) return SIG_ERR;
  return sigismember(&old, signal) ? SIG_HOLD : was;
}

// ---------------------------------------------------------------- waiting for signals

VT_EXPORT int pause() {
  if (!vt::can_park()) return VT_REAL(pause)();
  cancellation_point();
  int r = vt::signal_suspend(nullptr);
  return r == vt::kGoNative ? VT_REAL(pause)() : (int)errno_result(r);
}
VT_EXPORT int sigsuspend(const sigset_t* mask) {
  if (!vt::can_park() || !readable(mask, 8)) return VT_REAL(sigsuspend)(mask);
  cancellation_point();
  int r = vt::signal_suspend(mask);
  return r == vt::kGoNative ? VT_REAL(sigsuspend)(mask) : (int)errno_result(r);
}
VT_EXPORT int __sigsuspend(const sigset_t* mask) { return sigsuspend(mask); }
/// X/Open's takes a signal that is unblocked meanwhile, BSD's a mask.
VT_EXPORT int __sigpause(int what, int is_signal) {
  sigset_t set;
  sigprocmask(SIG_BLOCK, nullptr, &set);
  if (is_signal) {
    if (sigdelset(&set, what)) return -1;
  } else {
    sigemptyset(&set);
    memcpy(&set, &what, sizeof what);
  }
  return sigsuspend(&set);
}
VT_EXPORT int __xpg_sigpause(int signal) { return __sigpause(signal, 1); }
VT_EXPORT int vt_sigpause(int mask) __asm__("sigpause");  // <signal.h> redirects the name to X/Open's
VT_EXPORT int vt_sigpause(int mask) { return __sigpause(mask, 0); }
VT_EXPORT int sigtimedwait(const sigset_t* set, siginfo_t* info, const timespec* timeout) {
  if (!vt::can_park() || !readable(set, 8) || (timeout && !readable(timeout, sizeof *timeout))) return VT_REAL(sigtimedwait)(set, info, timeout);
  cancellation_point();
  int r = vt::signal_wait(set, info, timeout);
  return r == vt::kGoNative ? VT_REAL(sigtimedwait)(set, info, timeout) : (int)errno_result(r);
}
VT_EXPORT int sigwaitinfo(const sigset_t* set, siginfo_t* info) {
  if (!vt::can_park() || !readable(set, 8)) return VT_REAL(sigwaitinfo)(set, info);
  return sigtimedwait(set, info, nullptr);
}
VT_EXPORT int sigwait(const sigset_t* set, int* signal) {
  if (!vt::can_park() || !readable(set, 8)) return VT_REAL(sigwait)(set, signal);
  cancellation_point();
  int r;
  while ((r = vt::signal_wait(set, nullptr, nullptr)) == -EINTR) pthread_testcancel();
  if (r == vt::kGoNative) return VT_REAL(sigwait)(set, signal);
  if (r < 0) return -r;
  *signal = r;
  return 0;
}

// ---------------------------------------------------------------- jumps out of handlers

// setjmp returns twice, so it can't be a C++ function: the stub lets the mask be noted and jumps on to libc's own.
extern "C" __attribute__((used, visibility("hidden"))) decltype(&__sigsetjmp) vt_before_setjmp(sigjmp_buf env, int save) {
  if (save) vt::signal_setjmp(env);
  return VT_REAL(__sigsetjmp);
}
asm(R"(
    .text
    .globl setjmp
    .type setjmp, @function
setjmp:
    .cfi_startproc
    endbr64
    movl $1, %esi
    jmp 1f
    .cfi_endproc
    .size setjmp, .-setjmp
    .globl __sigsetjmp
    .type __sigsetjmp, @function
__sigsetjmp:
    .cfi_startproc
    endbr64
1:  pushq %rdi
    .cfi_adjust_cfa_offset 8
    pushq %rsi
    .cfi_adjust_cfa_offset 8
    subq $8, %rsp
    .cfi_adjust_cfa_offset 8
    call vt_before_setjmp
    addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    popq %rsi
    .cfi_adjust_cfa_offset -8
    popq %rdi
    .cfi_adjust_cfa_offset -8
    jmp *%rax
    .cfi_endproc
    .size __sigsetjmp, .-__sigsetjmp
)");

namespace {
/// To a place where the mask that libc saved was that of the OS thread on which a virtual thread ran then: its own is restored by signal_longjmp().
template <typename Jump>
[[noreturn]] void jump(Jump* real, sigjmp_buf env, int value) {
  vt::signal_longjmp(env, value);
  sigjmp_buf copy;
  if (vt::has_virtual_signals() && env->__mask_was_saved) {
    memcpy(copy, env, sizeof copy);
    copy->__mask_was_saved = 0;
    env = copy;
  }
  real(env, value);
  __builtin_unreachable();
}
}  // namespace

VT_EXPORT void siglongjmp(sigjmp_buf env, int value) { jump(VT_REAL(siglongjmp), env, value); }
VT_EXPORT void longjmp(jmp_buf env, int value) { siglongjmp(env, value); }
VT_EXPORT void _longjmp(jmp_buf env, int value) { siglongjmp(env, value); }
VT_EXPORT void __longjmp_chk(jmp_buf env, int value) { jump(VT_REAL(__longjmp_chk), env, value); }

// ---------------------------------------------------------------- contexts: swapcontext(3)
// They restore a signal mask by a system call: it must be that of the OS thread on which they do.

namespace {
void take_mask_of_here(const ucontext_t* to) {
  sigset_t now;
  if (to && vt::has_virtual_signals() && VT_REAL(sigprocmask)(SIG_BLOCK, nullptr, &now) == 0)
    memcpy(&const_cast<ucontext_t*>(to)->uc_sigmask, &now, sizeof(uint64_t));
  else if (to)
    vt::signal_mask_follows(&to->uc_sigmask);
}
}  // namespace

VT_EXPORT int setcontext(const ucontext_t* to) {
  take_mask_of_here(to);
  return VT_REAL(setcontext)(to);
}
VT_EXPORT int swapcontext(ucontext_t* from, const ucontext_t* to) {
  take_mask_of_here(to);
  return VT_REAL(swapcontext)(from, to);
}
