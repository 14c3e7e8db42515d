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
#include "sys/signal_frame.h"

namespace vt {
namespace {

using Handler = void (*)(int, siginfo_t*, void*);

/// What the program asked for; the kernel has on_signal() in the handler's place, the program's own flags, and a mask of all signals.
struct Action {
  std::atomic<Handler> handler{nullptr};
  std::atomic<int> flags{0};
  std::atomic<uint64_t> mask{0};
};
Action actions[_NSIG];
std::atomic<bool> taken_over{false};
constexpr int kForced = SA_SIGINFO | SA_ONSTACK;
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

PlatformThread& platform_of(MainThread* m) noexcept {
  return *(PlatformThread*)(main_area_now(m) + ((char*)&vt_platform - sys::thread_pointer()));
}

/// The mask of a handler that runs over what has `outside`.
uint64_t handler_mask(int signal, uint64_t outside) noexcept {
  const Action& a = actions[signal];
  uint64_t itself = a.flags.load(std::memory_order_relaxed) & (int)SA_NODEFER ? 0 : sys::bit(signal);
  return outside | a.mask.load(std::memory_order_relaxed) | itself;
}
uint64_t mask_in(const ucontext_t* uc) noexcept {
  uint64_t mask;
  memcpy(&mask, &uc->uc_sigmask, sizeof mask);
  return mask;
}
void set_os_mask(uint64_t mask) noexcept { sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, sizeof mask); }

/// Over another thread, which can't be moved off carrier 0: on the OS thread's signal stack, with main's area mounted, so that TLS is main's. Main looks like a platform
/// thread, so that nothing parks there.
__attribute__((noinline)) void run_handler(Carrier* c, MainThread* m, VThread* over, int signal, siginfo_t* info, void* context) noexcept {
  PlatformThread& platform = vt_platform;
  Self* before = vt_self;
  Handler handler = actions[signal].handler.load(std::memory_order_relaxed);
  int flags = actions[signal].flags.load(std::memory_order_relaxed);
  uint32_t depth = platform.depth;
  vt_self = &platform;
  ++platform.handlers;
  auto nested = c->in_handler;
  c->in_handler = nested + 1;
  auto* uc = static_cast<ucontext_t*>(context);
  uint64_t mask_before = mask_in(uc);
  m->handlers_ran = (uint8_t)(m->handlers_ran | (flags & SA_RESTART ? kHandlerRestarting : kHandlerInterrupting));
  Frame frame;
  frame.below = top;
  top = &frame;
  if (__builtin_setjmp(frame.buffer) == 0 && handler) {
    set_os_mask(handler_mask(signal, mask_before));
    handler(signal, info, context);
  }
  set_os_mask(~sys::kLibcSignals);
  top = top->below;
  platform.depth = depth;
  vt_self = before;
  bool left = main_thread() != m;
  if (nested == 0 && !left) {
    uint64_t after = mask_in(uc);
    if (after != mask_before) signals_note_main_mask(after & ~runtime_signals());  // the handler has changed what its return restores
    main_interrupt(c);
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

uint64_t mask_of_main_for_kernel(const MainThread* m) noexcept { return m->signal_mask.load(std::memory_order_relaxed) & ~runtime_signals(); }

/// On a platform thread, or raised in a virtual one.
void run_where_it_came(int signal, siginfo_t* info, ucontext_t* uc, bool raised_here) noexcept {
  Handler handler = actions[signal].handler.load(std::memory_order_relaxed);
  if (!handler) return;
  ++vt_platform.handlers;
  VThread* v = raised_here ? current() : nullptr;
  set_os_mask(handler_mask(signal, mask_in(uc)));
  if (v && (!v->is_main || v->carrier->is_blocking) && v->depth == 0) signals_raised(v, handler, signal, info, uc);
  else handler(signal, info, uc);
}

/// Main itself was interrupted, outside of sections: its handler runs over that, on its own stack or signal stack, as natively. With all blocked. @thread main
void run_over_main(MainThread* m, int signal, siginfo_t* info, ucontext_t* uc) {
  signals_run_at_once(m, signal, info, uc);
  call_has_ended(uc);
  uint64_t all = ~sys::kLibcSignals, mask = mask_of_main_for_kernel(m);
  sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &all, nullptr, sizeof all);
  memcpy(&uc->uc_sigmask, &mask, sizeof mask);
  sys::raw(SYS_sigaltstack, nullptr, &uc->uc_stack);
}
extern "C" __attribute__((used)) void vt_signal_over_main(sys::SignalFrame* frame) {
  run_over_main(main_thread(), frame->info.si_signo, &frame->info, frame->uc());
}

bool is_home(const MainThread* m, const Carrier* c) noexcept { return __atomic_load_n(&m->carrier, __ATOMIC_RELAXED) == c; }

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool kMoves = false;  // they don't follow, or come with a copy of the kernel's frame
#else
constexpr bool kMoves = true;
#endif

void over_main(MainThread* m, int signal, const siginfo_t& info, ucontext_t* uc) noexcept {
  // What the kernel has for it is main's mask, whatever way it was set.
  if (uint64_t mask = mask_in(uc) & ~runtime_signals(); mask != m->signal_mask.load(std::memory_order_relaxed)) signals_note_main_mask(mask);
  constexpr int kRedZone = 128;
  char* sp = (char*)uc->uc_mcontext.gregs[REG_RSP];
  siginfo_t copy = info;
  copy.si_signo = signal;
  if (!kMoves) return run_over_main(m, signal, &copy, uc);
  const stack_t& own = m->alternate_stack;
  bool on_own = (actions[signal].flags.load(std::memory_order_relaxed) & SA_ONSTACK) && !(own.ss_flags & SS_DISABLE) && own.ss_size &&
                (uint64_t)sp - (uint64_t)own.ss_sp >= own.ss_size;
  sys::move_signal_frame(uc, copy, on_own ? (char*)own.ss_sp + own.ss_size : sp - kRedZone, vt_signal_over_main);
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
  if (elsewhere && !raised_here && is_forwarded(signal, *info)) return;
  auto* uc = static_cast<ucontext_t*>(context);
  if (elsewhere || (raised_here && (!over || !over->is_main || over->depth))) return run_where_it_came(signal, info, uc, raised_here);
  bool resets = actions[signal].flags.load(std::memory_order_relaxed) & (int)SA_RESETHAND;
  if (over && over->is_main && !over->depth && !c->in_handler) {
    if (resets) main_signals_note_reset(signal);
    return over_main(m, signal, *info, uc);
  }
  // It is main's alone: the call of another that it has interrupted goes on.
  if (over && !over->is_main && !c->in_handler && !is_inside(over)) call_set_back(context, true);
  if (over && !over->is_main && !over->depth && is_home(m, c) && (c->in_handler ? !platform_of(m).depth : !eject_for_main(c, over, uc))) {
    MainMounted mounted(c, m);
    run_handler(c, m, over, signal, info, context);
    if (!c->in_handler && signals_wanted(over)) eject_for_signals_later(c);  // its own came meanwhile: taken when this handler has returned
    return;
  }
  main_signals_pass(m, c, signal, *info, resets);
  if (!is_home(m, c)) return;
  // Main looks at the end of its section, before it parks and when it goes on; else carrier 0's loop ends its wait.
  c->attention.store(true, std::memory_order_relaxed);
  if (!over) c->reactor.wake();
  else over->defer_once(over->is_main ? Self::kSignals : Self::kAttention);
}

}  // namespace

namespace {
/// None of ours is ever blocked.
uint64_t mask_of_action(const struct sigaction& a) noexcept {
  uint64_t mask;
  memcpy(&mask, &a.sa_mask, sizeof mask);
  return mask & ~runtime_signals();
}
/// on_signal() in the handler's place; until it lets them, no other comes on top of it.
void take_place(struct sigaction& a) noexcept {
  a.sa_sigaction = on_signal;
  a.sa_flags |= kForced;
  sigfillset(&a.sa_mask);
}
}  // namespace

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
  uint64_t old_mask = a.mask.load(std::memory_order_relaxed);
  if (action) {
    wanted = *action;
    if (is_handler(*action)) {
      a.handler.store(action->sa_sigaction, std::memory_order_relaxed);
      a.flags.store(action->sa_flags, std::memory_order_relaxed);
      a.mask.store(mask_of_action(*action), std::memory_order_relaxed);
      take_place(wanted);
    }
  }
  if (ending_sigaction(signal, action ? &wanted : nullptr, &before)) {
    int r = -errno;
    errno = e;
    a.handler.store(old_handler, std::memory_order_relaxed);
    a.flags.store(old_flags, std::memory_order_relaxed);
    a.mask.store(old_mask, std::memory_order_relaxed);
    return r;
  }
  if (old) {
    *old = before;
    if (is_handler(before) && before.sa_sigaction == on_signal) {
      old->sa_sigaction = old_handler;
      old->sa_flags = (before.sa_flags & ~kForced) | (old_flags & kForced);
      memcpy(&old->sa_mask, &old_mask, sizeof old_mask);
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
    actions[s].mask.store(mask_of_action(a), std::memory_order_relaxed);
    take_place(a);
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
  if (m->call.keeps_handlers && target > m->call.masked_call) m->call.keeps_handlers = false;
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
  if (main_thread()) main_interrupt(c);
}

void signals_section_ended(VThread* v) noexcept {
  MainThread* m = main_thread();
  Carrier* c = m ? carrier_at(0) : nullptr;
  if (!c || sys::raw(SYS_gettid) != c->os_tid || !main_wants_room(c)) return;  // elsewhere by now: there was a switch
  if (v && !v->is_main) eject_for_main(c, v, nullptr);
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
  lock.reset();
  top = nullptr;
}

}  // namespace vt
