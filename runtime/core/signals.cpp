#include "core/signals.h"

#include <errno.h>
#include <setjmp.h>
#include <string.h>
#include <ucontext.h>

#include "api.h"
#include "base/config.h"
#include "base/log.h"
#include "core/carrier.h"
#include "core/libc_calls.h"
#include "core/main_signals.h"
#include "core/main_thread.h"
#include "core/os_thread.h"
#include "core/registry.h"
#include "core/eject.h"
#include "core/ending.h"
#include "core/monitor.h"
#include "core/scheduler.h"
#include "core/slot.h"
#include "core/thread_area.h"
#include "core/thread_signals.h"
#include "sys/fs_base.h"
#include "sys/signal_bits.h"

namespace vt {
namespace {

using Handler = void (*)(int, siginfo_t*, void*);

/// What the program asked for; the kernel has on_signal() in the handler's place, and the program's own flags and mask.
struct Action {
  std::atomic<Handler> handler{nullptr};
  std::atomic<int> flags{0};
};
Action actions[_NSIG];
std::atomic<bool> taken_over{false};
constexpr int kForced = SA_SIGINFO | SA_ONSTACK;
constexpr uint64_t kSynchronous = sys::bit(SIGPIPE) | sys::bit(SIGPROF);  // the others that are raised are faults, and abort(3)
/// A signal that has come to an OS thread of ours, and is main's: in place of its si_code, which then stands in si_errno.
constexpr int kForwarded = -0x7674;

bool is_handler(const struct sigaction& a) noexcept { return a.sa_handler != SIG_DFL && a.sa_handler != SIG_IGN; }

/// All signals blocked on this OS thread: a handler may call sigaction itself.
class AllBlocked {
 public:
  AllBlocked() noexcept {
    uint64_t all = ~0ull;
    sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &all, &saved_, sizeof all);
  }
  ~AllBlocked() { sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &saved_, nullptr, sizeof saved_); }

 private:
  uint64_t saved_ = 0;
};
SpinLock lock{Rank::kLeaf};

void on_signal(int signal, siginfo_t* info, void* context) noexcept;

/// Where siglongjmp finds the trampoline again.
struct Frame {
  void* buffer[5];
  Frame* below;
};
Frame* top = nullptr;  // the main OS thread's

// ---------------------------------------------------------------- signals that come where main's handlers can't run
// A handler may wait for other threads if what it interrupts in main may be interrupted so, a wait mostly: for any of them. So it doesn't stand on one,
// nor on a lock of the runtime's. It runs over main itself, outside of sections, or over carrier 0's loop where that rests. What comes elsewhere is held: who is
// in a section looks at its end, who computes is moved to the end of the queue, and the next switch leads to the loop, which raises it anew.
siginfo_t held_infos[kMostPassed];
volatile uint32_t held_begin = 0, held_end = 0;  // both the main OS thread's

/// All of them blocked. False: no room.
bool keep(int signal, const siginfo_t& info) noexcept {
  for (uint32_t i = held_begin; signal < __SIGRTMIN && i != held_end; ++i)
    if (held_infos[i % kMostPassed].si_signo == signal) return true;  // a standard one is pending once
  if (held_end - held_begin == kMostPassed) return false;
  held_infos[held_end % kMostPassed] = info;
  held_infos[held_end % kMostPassed].si_signo = signal;
  held_end = held_end + 1;
  return true;
}

void hold(Carrier* c, int signal, const siginfo_t& info) noexcept {
  bool room;
  {
    AllBlocked blocked;
    room = keep(signal, info);
    c->attention.store(true, std::memory_order_relaxed);
    int flags = actions[signal].flags.load(std::memory_order_relaxed);
    if (flags & (int)SA_RESETHAND) {  // the kernel has taken it away, and shall have it again
      struct sigaction again {};
      again.sa_sigaction = on_signal;
      again.sa_flags = flags | kForced;
      libc_calls.sigaction(signal, &again, nullptr);
    }
  }
  if (!room) complain("more than %u signals that the main thread has had no time for: %s is lost", kMostPassed, SignalName(signal).text());
}

/// To main, where that is away, or has others to take before: those that are held come first.
bool pass(MainThread* m, Carrier* c, int signal, const siginfo_t& info) noexcept {
  if (signals_held()) {
    AllBlocked blocked;
    while (signals_held()) {
      const siginfo_t& first = held_infos[held_begin % kMostPassed];
      if (!main_signals_pass(m, c, first.si_signo, first, false)) return false;
      held_begin = held_begin + 1;
    }
  }
  return main_signals_pass(m, c, signal, info, actions[signal].flags.load(std::memory_order_relaxed) & (int)SA_RESETHAND);
}

PlatformThread& platform_of(MainThread* m) noexcept {
  return *(PlatformThread*)(main_area_now(m) + ((char*)&vt_platform - sys::thread_pointer()));
}

/// kHeld when the handler in which the caller stands has returned.
void kick_later(Carrier* c) noexcept {
  uint64_t one = sys::bit(kick_signal_number());
  sys::raw(SYS_rt_sigprocmask, SIG_BLOCK, &one, nullptr, sizeof one);
  carrier_kick(c, Kick::kHeld);
}

/// True: not now. Who is to look is told. Those that are held come first, also where this one could run.
bool must_be_held(Carrier* c, MainThread* m, VThread* over, const ucontext_t* uc, bool its_turn = false) noexcept {
  if (c->in_handler) {
    auto& platform = platform_of(m);
    if (platform.depth) return platform.defer_once(Self::kAttention), true;
  } else if (!over) {
    auto* next = (const unsigned char*)uc->uc_mcontext.gregs[REG_RIP];
    bool in_call = c->waits && ((next[-2] == 0x0f && next[-1] == 0x05) || (next[0] == 0x0f && next[1] == 0x05));
    if ((c->rests || in_call) && (its_turn || !signals_held())) return false;
    c->reactor.wake();
    return true;
  } else if (over->depth) {
    return over->defer_once(Self::kAttention), true;
  } else if (!over->is_main && eject_for_main(c, over, uc)) {
    return true;
  }
  if (its_turn || !signals_held()) return false;
  kick_later(c);
  return true;
}

/// With main's area mounted, so that TLS is main's. `over`: the interrupted thread, null for the carrier's loop.
__attribute__((noinline)) void run_handler(Carrier* c, MainThread* m, VThread* over, int signal, siginfo_t* info, void* context) noexcept {
  PlatformThread& platform = vt_platform;
  Self* before = vt_self;
  Handler handler = actions[signal].handler.load(std::memory_order_relaxed);
  int flags = actions[signal].flags.load(std::memory_order_relaxed);
  uint32_t depth = platform.depth;
  bool rested = c->rests;
  c->rests = false;
  if (!over && c->idle.exchange(0, std::memory_order_seq_cst)) monitor_notice();  // it may take long
  vt_self = &platform;
  ++platform.handlers;
  auto nested = c->in_handler;
  c->in_handler = nested + 1;
  const sigset_t* mask = &static_cast<ucontext_t*>(context)->uc_sigmask;
  uint64_t mask_before;
  memcpy(&mask_before, mask, sizeof mask_before);
  m->handlers_ran = (uint8_t)(m->handlers_ran | (flags & SA_RESTART ? kHandlerRestarting : kHandlerInterrupting));
  Frame frame;
  frame.below = top;
  top = &frame;
  if (__builtin_setjmp(frame.buffer) == 0 && handler) handler(signal, info, context);
  top = top->below;
  platform.depth = depth;
  c->rests = rested;
  vt_self = before;
  bool left = main_thread() != m;
  if (nested == 0 && !left) {
    uint64_t after;
    memcpy(&after, mask, sizeof after);
    if (after != mask_before && over && over->is_main) signals_note_main_mask(after & ~runtime_signals());  // the handler has changed what its return restores
    if (over) {
      main_interrupt(c);
      if (signals_held()) kick_later(c);
    } else {
      c->attention.store(true, std::memory_order_relaxed);
      c->reactor.wake();
    }
  }
  c->in_handler = nested;
}

/// Raised by what it interrupts: an instruction, a write, a timer of the CPU time that is used here, or abort(3), which sends it to its own OS thread.
/// What others send with the same number is a signal like any other.
bool is_raised(int signal, const siginfo_t* info, const ucontext_t* uc) noexcept {
  if (!(synchronous_signals() >> (signal - 1) & 1)) return false;
  if (info->si_code > 0) return true;
  auto& registers = uc->uc_mcontext.gregs;
  auto* next = (const unsigned char*)registers[REG_RIP];
  if (info->si_code == SI_USER && signal == SIGPIPE) return registers[REG_RAX] == -EPIPE && next[-2] == 0x0f && next[-1] == 0x05;
  return info->si_code == SI_TKILL && registers[REG_RAX] == 0 && next[-2] == 0x0f && next[-1] == 0x05 && registers[REG_RDX] == signal &&
         registers[REG_RSI] == sys::raw(SYS_gettid) && registers[REG_RDI] == sys::raw(SYS_getpid);
}

/// Sent to the process, and the kernel has chosen an OS thread of ours, which leave these unblocked for what is raised there. True: main has it.
bool is_forwarded(int signal, const siginfo_t& info) noexcept {
  MainThread* m = main_thread();
  if (!m || info.si_code == SI_TKILL || !(synchronous_signals() >> (signal - 1) & 1) || !os_thread_is_ours((pid_t)sys::raw(SYS_gettid))) return false;
  siginfo_t to_main = info;
  to_main.si_errno = info.si_code;
  to_main.si_code = kForwarded;
  return sys::raw(SYS_rt_tgsigqueueinfo, getpid(), getpid(), signal, &to_main) == 0;
}

void on_signal(int signal, siginfo_t* info, void* context) noexcept {
  if (info->si_code == kForwarded) {
    info->si_code = info->si_errno;
    info->si_errno = 0;
  }
  // The mounted area may be that of a thread that runs elsewhere by now: nothing in TLS is touched before main's is mounted.
  MainThread* m = main_thread();
  Carrier* c = m ? carrier_at(0) : nullptr;
  bool elsewhere = !c || sys::raw(SYS_gettid) != c->os_tid;
  VThread* over = elsewhere ? nullptr : c->running;
  // Within a section a thread sends to others.
  bool raised_here = is_raised(signal, info, static_cast<ucontext_t*>(context)) && !(info->si_code == SI_TKILL && over && over->depth);
  bool fault = raised_here && !(kSynchronous >> (signal - 1) & 1);
  if (elsewhere && !raised_here && is_forwarded(signal, *info)) return;
  if (elsewhere || (raised_here && over && (!over->is_main || over->depth))) {
    Handler handler = actions[signal].handler.load(std::memory_order_relaxed);
    if (!handler) return;
    ++vt_platform.handlers;
    VThread* v = raised_here ? current() : nullptr;
    if (v && (!v->is_main || v->carrier->is_blocking) && v->depth == 0) signals_raised(v, handler, signal, info, context);
    else handler(signal, info, context);
    return;
  }
  // It is main's alone: the call of another that it has interrupted goes on.
  if (over && !over->is_main && !c->in_handler && !is_inside(over)) call_set_back(context, true);
  if (fault || !pass(m, c, signal, *info)) {
    if (!fault && must_be_held(c, m, over, static_cast<ucontext_t*>(context))) {
      hold(c, signal, *info);
    } else {
      MainMounted mounted(c, m);
      run_handler(c, m, over, signal, info, context);
      if (over && over->is_main) call_has_ended(static_cast<ucontext_t*>(context));
    }
  }
  if (over && !over->is_main && !c->in_handler && signals_wanted(over)) {  // its own came meanwhile: taken when this handler has returned
    eject_for_signals_later(c);
  }
}

}  // namespace

void signals_run_held(Carrier* c, ucontext_t* uc) noexcept {
  MainThread* m = main_thread();
  if (!m || sys::raw(SYS_gettid) != c->os_tid) return;
  uint64_t sp = (uint64_t)uc->uc_mcontext.gregs[REG_RSP];
  if (!c->in_handler && sp - (uint64_t)uc->uc_stack.ss_sp < uc->uc_stack.ss_size) return;  // over one that has just come: it sees those that are held
  while (signals_held()) {
    VThread* over = c->running;
    if (must_be_held(c, m, over, uc, true)) return;
    siginfo_t info = held_infos[held_begin % kMostPassed];
    int signal = info.si_signo;
    uint64_t outside, mask, all = ~0ull;
    memcpy(&outside, &uc->uc_sigmask, sizeof outside);
    if (c->in_handler && (outside & sys::bit(signal))) return;  // by that handler, who looks when it ends
    held_begin = held_begin + 1;
    bool resets = actions[signal].flags.load(std::memory_order_relaxed) & (int)SA_RESETHAND;
    if (main_signals_pass(m, c, signal, info, false)) continue;
    if (outside & sys::bit(signal)) {  // main has blocked it meanwhile, in a handler of its own or by itself
      if (!m->signal_frames || !main_signals_pass(m, c, signal, info, false, true)) sys::raw(SYS_rt_tgsigqueueinfo, getpid(), c->os_tid, signal, &info);
      continue;
    }
    struct sigaction action {};
    ending_sigaction(signal, nullptr, &action);
    if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) {  // meanwhile, too: the kernel knows what that means
      sys::raw(SYS_rt_tgsigqueueinfo, getpid(), c->os_tid, signal, &info);
      continue;
    }
    if (resets) {
      struct sigaction none {};
      ending_sigaction(signal, &none, nullptr);
    }
    memcpy(&mask, &action.sa_mask, sizeof mask);
    mask |= outside | (action.sa_flags & SA_NODEFER ? 0 : sys::bit(signal));
    MainMounted mounted(c, m);
    sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, sizeof mask);
    run_handler(c, m, over, signal, &info, uc);
    sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &all, nullptr, sizeof all);
    if (main_thread() != m) return;
  }
}

int main_kill(pid_t id, int signal) noexcept {
  VThread* v = current();
  MainThread* m = main_thread();
  if (!v || !m || v->is_main || id != m->id.load(std::memory_order_relaxed) || is_child_in_memory(v)) return kNotVirtual;
  if (m->ended) return 0;
  RuntimeSection section;  // is_raised() tells it from what v raises in itself
  return (int)sys::raw(SYS_tgkill, getpid(), id, signal);
}

int signals_action(int signal, const struct sigaction* action, struct sigaction* old) noexcept {
  active();  // boot comes first: the program's handler replaces the dump's, not the other way round
  if (action && signal && signal == config.dump_signal && is_handler(*action)) {
    complain("the program handles %s itself: VTSHIM_DUMP_SIGNAL is off", SignalName(signal).text());
    config.dump_signal = 0;
  }
  if (!taken_over.load(std::memory_order_acquire) || signal < 1 || signal >= _NSIG || signal == SIGKILL || signal == SIGSTOP) {
    int e = errno, r = ending_sigaction(signal, action, old) ? -errno : 0;
    errno = e;
    return r;
  }
  if (is_runtime_signal(signal)) return -EINVAL;
  AllBlocked blocked;
  LockGuard guard(lock);
  Action& a = actions[signal];
  struct sigaction wanted, before;
  Handler old_handler = a.handler.load(std::memory_order_relaxed);
  int old_flags = a.flags.load(std::memory_order_relaxed), e = errno;
  if (action) {
    wanted = *action;
    if (is_handler(*action)) {
      a.handler.store(action->sa_sigaction, std::memory_order_relaxed);
      a.flags.store(action->sa_flags, std::memory_order_relaxed);
      wanted.sa_sigaction = on_signal;
      wanted.sa_flags |= kForced;
    }
  }
  if (ending_sigaction(signal, action ? &wanted : nullptr, &before)) {
    int r = -errno;
    errno = e;
    a.handler.store(old_handler, std::memory_order_relaxed);
    a.flags.store(old_flags, std::memory_order_relaxed);
    return r;
  }
  if (old) {
    *old = before;
    if (is_handler(before) && before.sa_sigaction == on_signal) {
      old->sa_sigaction = old_handler;
      old->sa_flags = (before.sa_flags & ~kForced) | (old_flags & kForced);
    }
  }
  return 0;
}

int signals_delivered_action(int signal, struct sigaction* action) noexcept {
  int r = signals_action(signal, nullptr, action);
  action->sa_sigaction = actions[signal].handler.load(std::memory_order_relaxed);
  action->sa_flags = actions[signal].flags.load(std::memory_order_relaxed);
  return r;
}

void signals_take_over() noexcept {
  if (taken_over.exchange(true, std::memory_order_acq_rel)) return;
  AllBlocked blocked;
  int e = errno;
  for (int s = 1; s < _NSIG; ++s) {
    struct sigaction a;
    if (is_runtime_signal(s) || libc_calls.sigaction(s, nullptr, &a) || !is_handler(a) || is_dump_handler(a.sa_sigaction) ||
        is_ending_handler(a.sa_sigaction))
      continue;
    actions[s].handler.store(a.sa_sigaction, std::memory_order_relaxed);
    actions[s].flags.store(a.sa_flags, std::memory_order_relaxed);
    a.sa_sigaction = on_signal;
    a.sa_flags |= kForced;
    libc_calls.sigaction(s, &a, nullptr);
  }
  errno = e;
}

namespace {
/// The handlers have been left: main goes home, and what was blocked meanwhile comes before the jump, as in sigprocmask.
void handlers_left(VThread* v) noexcept {
  if (v->is_main && !v->signal_frames) main_leaves_call(static_cast<MainThread*>(v));
  if (signals_wanted(v)) signals_deliver(v, nullptr);
}

uint64_t mask_of(const VThread* v) noexcept { return v->signal_mask.load(std::memory_order_relaxed); }

/// In a word of a saved mask that no kernel uses: the next one is the mask of the virtual thread that called sigsetjmp.
constexpr uint64_t kNoted = 0x766d61736b647674;

/// As siglongjmp does where the mask was saved; else it stays what it was when a handler was left.
void restore_mask(VThread* v, const struct __jmp_buf_tag* env, uint64_t left_with) noexcept {
  const unsigned long* words = env->__saved_mask.__val;
  if (env->__mask_was_saved && words[1] != kNoted) return;
  uint64_t mask = env->__mask_was_saved ? words[2] : left_with;
  if (mask != mask_of(v)) signals_set_mask(v, mask);
}

/// A jump to `target` leaves a call with a mask of its own, and what ran in it doesn't end later ones.
void main_call_left(MainThread* m, const char* target) noexcept {
  if (m->keeps_handlers && target > m->masked_call) m->keeps_handlers = false;
}

/// At home libc's jump gives the kernel the mask that it saved, if it did, and main's number follows, whatever handlers that were left meanwhile hadn't come
/// to: what comes while main is away would be blocked for ever by one that lags behind.
void note_mask_of_jump(const struct __jmp_buf_tag* env) noexcept {
  if (env->__mask_was_saved) signals_note_main_mask(env->__saved_mask.__val[0] & ~runtime_signals());
}

struct Jump {
  VThread* v;
  jmp_buf env;
  int value;
};
void jump_from_own_stack(void* argument) noexcept {
  Jump jump = *static_cast<Jump*>(argument);  // on the signal stack, which is another's once we park
  handlers_left(jump.v);
  if (!jump.v->is_main || jump.v->carrier->is_blocking) jump.env->__mask_was_saved = 0;
  libc_calls.siglongjmp(jump.env, jump.value);
}
/// Others of main's waited for the handler's end: they come here, or, if they are blocked here, as the jump unblocks them.
void jump_over_held(void* argument) noexcept {
  Jump jump = *static_cast<Jump*>(argument);
  carrier_kick(carrier_at(0), Kick::kHeld);
  libc_calls.siglongjmp(jump.env, jump.value);
}

/// Where the jump goes. setjmp's layout on x86-64: the stack pointer is word 6, mangled.
char* target_of(const void* env) noexcept {
  uint64_t sp = ((const uint64_t*)env)[6], guard;
  asm("movq %%fs:0x30, %0" : "=r"(guard));
  return (char*)((sp >> 17 | sp << 47) ^ guard);
}

/// On the stack that is jumped to, below all that is used there.
[[noreturn]] void go_on_with_jump(void (*jumps)(void*) noexcept, VThread* v, const void* env, int value) noexcept {
  Jump jump{v, {}, value};
  memcpy(jump.env, env, sizeof jump.env);
  constexpr int kRedZone = 128;
  signals_go_on_at(target_of(env) - kRedZone, jumps, &jump);
}
}  // namespace

void signals_leave(VThread* v, void* env, int value, uint64_t left_with) noexcept {
  v->in_deliver = false;
  char* target = target_of(env);
  if (v->is_main) main_call_left(static_cast<MainThread*>(v), target);
  bool raised = signals_jumped(v, target);
  auto* to = static_cast<struct __jmp_buf_tag*>(env);
  bool by_libc = v->is_main && !v->carrier->is_blocking && to->__mask_was_saved;
  if (by_libc) note_mask_of_jump(to);
  else restore_mask(v, to, left_with);
  if (!raised) return handlers_left(v);
  if (!v->is_main && !signals_wanted(v)) return;
  go_on_with_jump(jump_from_own_stack, v, env, value);
}

void signals_setjmp(void* env) noexcept {
  VThread* v = vt_platform.over ? vt_platform.over : current();
  unsigned long* words = static_cast<struct __jmp_buf_tag*>(env)->__saved_mask.__val;
  words[1] = v ? kNoted : 0;
  words[2] = v ? mask_of(v) : 0;
}

bool signals_longjmp(void* env, int value) noexcept {
  VThread* v = vt_platform.over ? vt_platform.over : current();
  if (v && (!v->is_main || v->signal_frames)) return signals_leave(v, env, value, mask_of(v)), false;
  if (v && !v->carrier->is_blocking) note_mask_of_jump(static_cast<struct __jmp_buf_tag*>(env));
  MainThread* m = main_thread();
  if (!m || vt_self != &vt_platform || thread_area_self(sys::thread_pointer()) != m->tp) return false;
  Carrier* c = carrier_at(0);
  if (!c || !c->in_handler || sys::raw(SYS_gettid) != c->os_tid || !top) return false;
  uint64_t mask = 0;  // the handler's
  sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, nullptr, &mask, sizeof mask);
  if (c->running == m && m->depth == 0) {
    // Main itself was interrupted, in its own code: the jump leaves the handler for good.
    top = nullptr;
    c->in_handler = 0;
    vt_platform.depth = 0;
    vt_self = m;
    signals_leave(m, env, value, mask);
    if (signals_held()) go_on_with_jump(jump_over_held, m, env, value);
    return false;
  }
  // Main is parked, or inside the runtime: it jumps itself, when its call has ended; the handler ends here.
  m->defer_once(Self::kJump);
  m->jump_mask = mask;
  m->jump_env = env;
  m->jump_value = value ? value : 1;
  __builtin_longjmp(top->buffer, 1);
}

void signals_interrupt_blocking(MainThread* m) noexcept {
  Carrier* where = __atomic_load_n(&m->carrier, __ATOMIC_ACQUIRE);
  if (where && where->is_blocking && (m->handlers_ran & kHandlerInterrupting)) carrier_kick(where, Kick::kEndCall);
}

void signals_attend(Carrier* c) noexcept {
  if (!c->attention.load(std::memory_order_relaxed)) return;
  c->attention.store(false, std::memory_order_relaxed);
  MainThread* m = main_thread();
  if (!m) return;
  if (signals_held()) {
    c->rests = true;
    carrier_kick(c, Kick::kHeld);
    c->rests = false;
  }
  main_interrupt(c);
}

bool signals_held() noexcept { return held_begin != held_end; }

void signals_section_ended(VThread* v) noexcept {
  MainThread* m = main_thread();
  Carrier* c = m ? carrier_at(0) : nullptr;
  if (!c || sys::raw(SYS_gettid) != c->os_tid || !signals_held()) return;  // elsewhere by now: there was a switch
  if (!v || v->is_main) carrier_kick(c, Kick::kHeld);
  else eject_for_main(c, v, nullptr);
}

bool signals_handler_is_inside() noexcept {
  MainThread* m = main_thread();
  return !m || platform_of(m).depth;
}

bool is_inside_here(const Carrier* c, const VThread* v) noexcept {
  return c->in_handler ? signals_handler_is_inside() : !v || is_inside(v);
}

uint32_t handlers_counted() noexcept { return vt_platform.handlers; }
bool no_handler_since(uint32_t count) noexcept { return taken_over.load(std::memory_order_relaxed) && vt_platform.handlers == count; }

void signals_after_fork() noexcept {
  held_begin = held_end;
  lock.reset();
  top = nullptr;
}

}  // namespace vt
