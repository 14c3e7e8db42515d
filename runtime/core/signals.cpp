#include "core/signals.h"

#include <errno.h>
#include <setjmp.h>
#include <string.h>
#include <ucontext.h>

#include "api.h"
#include "base/config.h"
#include "core/carrier.h"
#include "core/libc_calls.h"
#include "core/main_signals.h"
#include "core/main_thread.h"
#include "core/os_thread.h"
#include "core/registry.h"
#include "core/eject.h"
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
constexpr uint64_t kFaults = sys::bit(SIGSEGV) | sys::bit(SIGBUS) | sys::bit(SIGFPE) | sys::bit(SIGILL) | sys::bit(SIGTRAP) | sys::bit(SIGSYS) |
                             sys::bit(SIGABRT);

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

/// With main's area mounted, so that TLS is main's. `over`: the interrupted thread, null for the carrier's loop.
__attribute__((noinline)) void run_handler(Carrier* c, MainThread* m, VThread* over, int signal, siginfo_t* info, void* context) noexcept {
  PlatformThread& platform = vt_platform;
  Self* before = vt_self;
  // Interrupted inside the runtime: the handler may not take its locks, and what it posts waits.
  bool inside = !over || over->depth || platform.depth;
  Handler handler = actions[signal].handler.load(std::memory_order_relaxed);
  int flags = actions[signal].flags.load(std::memory_order_relaxed);
  uint32_t depth = platform.depth;
  if (inside) platform.depth = depth + 1;
  vt_self = &platform;
  ++platform.handlers;
  auto nested = c->in_handler;
  c->in_handler = nested + 1;
  m->handlers_ran = (uint8_t)(m->handlers_ran | (flags & SA_RESTART ? kHandlerRestarting : kHandlerInterrupting));
  Frame frame;
  frame.below = top;
  top = &frame;
  if (__builtin_setjmp(frame.buffer) == 0 && handler) handler(signal, info, context);
  top = top->below;
  platform.depth = depth;
  vt_self = before;
  // seq_cst: we store vt_self, then look whether main has left; main_leave() does it the other way round, so one of us clears vt_self
  std::atomic_thread_fence(std::memory_order_seq_cst);
  bool left = main_thread() != m;
  if (left) vt_self = nullptr;
  if (nested == 0 && !left) {
    if (!inside) {
      if (platform.deferred_count) run_deferred(&platform);
      main_interrupt(c);
    } else {
      // What the handler posted stays in main's list: whoever attends, at the next switch or at the section's end, looks there.
      if (over && over->deferred_count < Self::kMaxDeferred && !over->has_deferred(Self::kAttention)) {
        over->deferred[over->deferred_count] = Self::kAttention;
        over->deferred_count = (uint8_t)(over->deferred_count + 1);
      }
      c->attention.store(true, std::memory_order_relaxed);
      if (!over) c->reactor.wake();
    }
  }
  c->in_handler = nested;
}

void on_signal(int signal, siginfo_t* info, void* context) noexcept {
  // The mounted area may be that of a thread that runs elsewhere by now: nothing in TLS is touched before main's is mounted.
  MainThread* m = main_thread();
  Carrier* c = m ? carrier_at(0) : nullptr;
  bool raised_here = synchronous_signals() >> (signal - 1) & 1;
  bool elsewhere = !c || sys::raw(SYS_gettid) != c->os_tid;
  VThread* over = elsewhere ? nullptr : c->running;
  if (elsewhere || (raised_here && over && (!over->is_main || over->depth))) {
    Handler handler = actions[signal].handler.load(std::memory_order_relaxed);
    if (!handler) return;
    ++vt_platform.handlers;
    VThread* v = raised_here ? current() : nullptr;
    if (v && (!v->is_main || v->carrier->is_blocking) && v->depth == 0) signals_raised(v, handler, signal, info, context);
    else handler(signal, info, context);
    return;
  }
  if (kFaults >> (signal - 1) & 1 || !main_signals_pass(m, c, signal, *info, actions[signal].flags.load(std::memory_order_relaxed) & (int)SA_RESETHAND)) {
    MainMounted mounted(c, m);
    run_handler(c, m, over, signal, info, context);
  }
  if (over && !over->is_main && !c->in_handler && signals_wanted(over)) {  // its own came meanwhile: taken when this handler has returned
    eject_for_signals_later(c);
  }
}

}  // namespace

int signals_action(int signal, const struct sigaction* action, struct sigaction* old) noexcept {
  if (action && signal && signal == config.dump_signal && is_handler(*action)) {
    complain("the program handles signal %d itself: VTSHIM_DUMP_SIGNAL is off", signal);
    config.dump_signal = 0;
  }
  if (!taken_over.load(std::memory_order_acquire) || signal < 1 || signal >= _NSIG || signal == SIGKILL || signal == SIGSTOP) {
    int e = errno, r = libc_calls.sigaction(signal, action, old) ? -errno : 0;
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
  if (libc_calls.sigaction(signal, action ? &wanted : nullptr, &before)) {
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
    if (is_runtime_signal(s) || libc_calls.sigaction(s, nullptr, &a) || !is_handler(a) || is_dump_handler(a.sa_sigaction)) continue;
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
}  // namespace

void signals_leave(VThread* v, void* env, int value, uint64_t left_with) noexcept {
  // setjmp's layout on x86-64: the stack pointer is word 6, mangled.
  uint64_t sp = ((uint64_t*)env)[6], guard;
  asm("movq %%fs:0x30, %0" : "=r"(guard));
  v->in_deliver = false;
  char* target = (char*)((sp >> 17 | sp << 47) ^ guard);
  bool raised = signals_jumped(v, target);
  auto* to = static_cast<struct __jmp_buf_tag*>(env);
  bool by_libc = v->is_main && !v->carrier->is_blocking && to->__mask_was_saved;
  if (!by_libc) restore_mask(v, to, left_with);
  if (!raised) return handlers_left(v);
  if (!v->is_main && !signals_wanted(v)) return;
  Jump jump{v, {}, value};
  memcpy(jump.env, env, sizeof jump.env);
  constexpr int kRedZone = 128;
  signals_go_on_at(target - kRedZone, jump_from_own_stack, &jump);
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
  MainThread* m = main_thread();
  if (!m || vt_self != &vt_platform || thread_area_self(sys::thread_pointer()) != m->tp) return false;
  Carrier* c = carrier_at(0);
  if (!c || !c->in_handler || sys::raw(SYS_gettid) != c->os_tid || !top) return false;
  if (c->running == m && m->depth == 0) {
    // Main itself was interrupted, in its own code: the jump leaves the handler for good.
    top = nullptr;
    c->in_handler = 0;
    vt_platform.depth = 0;
    vt_self = m;
    uint64_t mask = 0;
    sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, nullptr, &mask, sizeof mask);
    signals_leave(m, env, value, mask);
    return false;
  }
  // Main is parked, or inside the runtime: it jumps itself, when its call has ended; the handler ends here.
  if (!m->jump_env && m->deferred_count < Self::kMaxDeferred) {
    m->deferred[m->deferred_count] = Self::kJump;
    m->deferred_count = (uint8_t)(m->deferred_count + 1);
  }
  sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, nullptr, &m->jump_mask, sizeof m->jump_mask);
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
  auto& platform = *(PlatformThread*)(main_area_now(m) + ((char*)&vt_platform - sys::thread_pointer()));
  while (void* sem = platform.pop_deferred()) sem_hand_over(sem, c);
  main_interrupt(c);
}

uint32_t handlers_counted() noexcept { return vt_platform.handlers; }
bool no_handler_since(uint32_t count) noexcept { return taken_over.load(std::memory_order_relaxed) && vt_platform.handlers == count; }

void signals_after_fork() noexcept {
  lock.reset();
  top = nullptr;
}

}  // namespace vt
