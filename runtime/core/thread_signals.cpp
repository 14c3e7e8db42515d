#include "core/thread_signals.h"

#include <errno.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "api.h"
#include "core/cancel.h"
#include "core/carrier.h"
#include "core/eject.h"
#include "core/main_signals.h"
#include "core/monitor.h"
#include "core/os_thread.h"
#include "core/registry.h"
#include "core/scheduler.h"
#include "core/signals.h"
#include "core/unit_pool.h"
#include "sys/raw.h"
#include "sys/signal_bits.h"

namespace vt {

/// What came with a pending signal.
struct PendingSignal {
  siginfo_t info;
  PendingSignal* next;
};

/// A handler that runs; on the stack that it interrupted, or on the OS thread's signal stack.
struct SignalFrame {
  uint64_t mask;  // before it
  SignalFrame* below;
  bool in_masked_call;
  bool in_place;
  bool by_kernel = false;
  char* stack_low = nullptr;  // by_kernel: the signal stack's, if it is on one
  uint64_t os_mask = 0;   // by_kernel, or main's: on a blocking thread it's none of the program's
  stack_t os_stack = {};  // by_kernel and moved to the thread's own: the OS thread's signal stack, to be restored

  bool is_left_by(char* target) const noexcept { return target > (char*)this || target < stack_low; }
};

namespace {

using sys::bit, sys::kLibcSignals, sys::kUnmaskable;
constexpr uint64_t kIgnoredByDefault = bit(SIGCHLD) | bit(SIGURG) | bit(SIGWINCH) | bit(SIGCONT);

SpinLock queue_lock{Rank::kLeaf};
/// As RLIMIT_SIGPENDING: beyond them a real-time signal isn't taken. Main has its own: what has been passed on was taken from the kernel already.
constexpr unsigned kNodes = 1024;
PendingSignal nodes[kNodes + kMostPassed];  // pages that nobody has written to cost nothing
unsigned nodes_made = 0, nodes_of_main = 0, nodes_of_others = 0;
PendingSignal* free_nodes = nullptr;
std::atomic<bool> all_wanted{false};

siginfo_t plain_info(int signal) noexcept {
  siginfo_t info{};
  info.si_signo = signal;
  info.si_code = SI_TKILL;
  info.si_pid = getpid();
  info.si_uid = getuid();
  return info;
}

}  // namespace

namespace {

// ---- both with queue_lock
PendingSignal* take_node(bool mains) noexcept {
  unsigned& used = mains ? nodes_of_main : nodes_of_others;
  if (used == (mains ? kMostPassed : kNodes)) return nullptr;
  ++used;
  PendingSignal* n = free_nodes;
  if (n) free_nodes = n->next;
  else n = &nodes[nodes_made++];
  return n;
}
void give_node(bool mains, PendingSignal* n) noexcept {
  --(mains ? nodes_of_main : nodes_of_others);
  n->next = free_nodes;
  free_nodes = n;
}

}  // namespace

/// Standard signals are pending once, real-time ones as often as they were sent.
bool signals_queue(VThread* v, int signal, const siginfo_t& info) noexcept {
  LockGuard guard(queue_lock);
  if (signal < __SIGRTMIN && (v->signals_pending.load(std::memory_order_relaxed) & bit(signal))) return true;
  PendingSignal* n = take_node(v->is_main);
  if (!n && signal >= __SIGRTMIN) return false;
  if (n) {
    n->info = info;
    n->next = nullptr;
    PendingSignal** end = &v->signal_queue;
    while (*end) end = &(*end)->next;
    *end = n;
  }
  v->signals_pending.fetch_or(bit(signal), std::memory_order_seq_cst);
  return true;
}

namespace {

/// False: somebody else has taken it (a handler on top of us).
bool unqueue(VThread* v, int signal, siginfo_t* info) noexcept {
  LockGuard guard(queue_lock);
  if (!(v->signals_pending.load(std::memory_order_relaxed) & bit(signal))) return false;
  *info = plain_info(signal);  // sent by a handler, or without a node
  bool found = false, more = false;
  for (PendingSignal** p = &v->signal_queue; *p;) {
    PendingSignal* n = *p;
    if (n->info.si_signo != signal) {
      p = &n->next;
    } else if (!found) {
      found = true;
      *info = n->info;
      *p = n->next;
      give_node(v->is_main, n);
    } else {
      more = true;
      break;
    }
  }
  if (!more) v->signals_pending.fetch_and(~bit(signal), std::memory_order_relaxed);
  return true;
}

/// The kernel does what the default is, on the process.
void act_by_default(int signal) noexcept {
  if (bit(signal) & kIgnoredByDefault) return;
  RuntimeSection section;
  uint64_t one = bit(signal), saved = 0;
  sys::raw(SYS_rt_sigprocmask, SIG_UNBLOCK, &one, &saved, sizeof one);
  sys::raw(SYS_tgkill, getpid(), sys::raw(SYS_gettid), signal);
  sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &saved, nullptr, sizeof saved);
}

struct Call {
  struct sigaction* action;
  int signal;
  siginfo_t* info;
  void* context;
  const stack_t* lower = nullptr;  // set where the handler of a fault moves to the thread's own signal stack
  const stack_t* whole = nullptr;
};
extern "C" __attribute__((used, visibility("hidden"))) void vt_call_handler(Call* call) {
  if (!call->lower) return call->action->sa_sigaction(call->signal, call->info, call->context);
  // We have left the OS thread's signal stack, with the kernel's frame on it: the next signal's must begin below.
  sys::raw(SYS_sigaltstack, call->lower, nullptr);
  call->action->sa_sigaction(call->signal, call->info, call->context);
  sys::raw(SYS_sigaltstack, call->whole, nullptr);
}
extern "C" [[noreturn]] void vt_go_on_at(char* top, void (*call)(void*), void* argument);
/// vt_call_handler(call) on another stack.
extern "C" void vt_call_handler_on(char* top, Call* call);
asm(R"(
    .text
    .hidden vt_call_handler_on
    .type vt_call_handler_on, @function
vt_call_handler_on:
    .cfi_startproc
    pushq %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    movq %rsp, %rbp
    .cfi_def_cfa_register %rbp
    movq %rdi, %rsp
    andq $-16, %rsp
    movq %rsi, %rdi
    call vt_call_handler
    movq %rbp, %rsp
    popq %rbp
    .cfi_def_cfa %rsp, 8
    ret
    .cfi_endproc
    .size vt_call_handler_on, .-vt_call_handler_on

    .hidden vt_go_on_at
    .type vt_go_on_at, @function
vt_go_on_at:
    .cfi_startproc
    .cfi_undefined %rip
    movq %rdi, %rsp
    andq $-16, %rsp
    movq %rdx, %rdi
    call *%rsi
    ud2
    .cfi_endproc
    .size vt_go_on_at, .-vt_go_on_at
)");

bool is_within(const stack_t& s, const void* p) noexcept { return (uint64_t)p - (uint64_t)s.ss_sp < s.ss_size; }

/// The end of a section of v's, which may be a platform thread meanwhile: what interrupts v found it, and its handlers wait.
void leave_section(VThread* v) noexcept {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  RuntimeSection::leave(v);
}

/// In a section of v's, but for the handler itself: the next signal may not come before this one.
__attribute__((noinline)) uint8_t run_handler(VThread* v, int signal, siginfo_t* info, ucontext_t* context) {
  if (signal == kCancels && !v->is_main) {
    v->defer_once(Self::kCancel);
    return 0;
  }
  struct sigaction action {};
  bool is_reset = false;
  int r = v->is_main ? main_signals_action(static_cast<MainThread*>(v), signal, &action, &is_reset) : signals_action(signal, nullptr, &action);
  if (r < 0 || action.sa_handler == SIG_IGN || action.sa_handler == SIG_DFL) {
    if (r == 0 && action.sa_handler == SIG_DFL) act_by_default(signal);
    return 0;
  }
  if ((action.sa_flags & SA_RESETHAND) && !is_reset) {
    struct sigaction reset {};
    signals_action(signal, &reset, nullptr);
  }
  uint64_t mask;
  memcpy(&mask, &action.sa_mask, sizeof mask);
  uint8_t kind = action.sa_flags & SA_RESTART ? kHandlerRestarting : kHandlerInterrupting;
  SignalFrame frame{v->signal_mask.load(std::memory_order_relaxed), v->signal_frames, v->in_masked_call, v->in_place};
  uint8_t ran_before = 0;
  MainCall call_before;
  if (v->is_main) {
    call_before = static_cast<MainThread*>(v)->call;
    static_cast<MainThread*>(v)->call = {};
    ran_before = static_cast<MainThread*>(v)->handlers_ran;
    sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, nullptr, &frame.os_mask, sizeof frame.os_mask);
    main_handler_begins(static_cast<MainThread*>(v), kind);
  }
  v->signal_frames = &frame;
  v->in_masked_call = false;
  uint64_t awaited = v->signals_awaited.exchange(0, std::memory_order_relaxed);  // not by what the handler waits for, nor after a jump
  ++v->handlers_run;
  signals_set_mask(v, frame.mask | mask | (action.sa_flags & SA_NODEFER ? 0 : bit(signal)));
  v->in_deliver = false;
  leave_section(v);
  signals_deliver(v, nullptr);  // what it doesn't mask, and came meanwhile, comes on top of it
  ucontext_t mine;
  if (!context) {  // inside a call: the handler finds the registers of this frame
    context = &mine;
    memset(context, 0, sizeof mine);
    context->uc_mcontext.gregs[REG_RSP] = (long long)(uintptr_t)__builtin_frame_address(0);
    context->uc_mcontext.gregs[REG_RBP] = context->uc_mcontext.gregs[REG_RSP];
    context->uc_mcontext.gregs[REG_RIP] = (long long)(uintptr_t)__builtin_return_address(0);
  }
  memcpy(&context->uc_sigmask, &frame.mask, sizeof frame.mask);
  context->uc_stack = v->alternate_stack;
  Call call{&action, signal, info, context};
  const stack_t& stack = v->alternate_stack;
  if ((action.sa_flags & SA_ONSTACK) && !(stack.ss_flags & SS_DISABLE) && stack.ss_size && !is_within(stack, &frame))
    vt_call_handler_on((char*)stack.ss_sp + stack.ss_size, &call);
  else
    vt_call_handler(&call);
  RuntimeSection::enter(v);
  v->in_deliver = true;
  uint64_t after;
  memcpy(&after, &context->uc_sigmask, sizeof after);
  v->signal_frames = frame.below;
  v->in_masked_call = frame.in_masked_call;
  v->signals_awaited.store(awaited, std::memory_order_seq_cst);
  v->in_place = frame.in_place;
  if (v->is_main) static_cast<MainThread*>(v)->call = call_before;
  if (v->is_main) static_cast<MainThread*>(v)->handlers_ran = (uint8_t)(static_cast<MainThread*>(v)->handlers_ran | ran_before | kind);  // calls in it began anew
  if (v->is_main && v->carrier->is_blocking && current() == v) sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &frame.os_mask, nullptr, sizeof frame.os_mask);
  signals_set_mask(v, after);
  return kind;
}

}  // namespace

void signals_barrier() noexcept {
  constexpr int kExpedited = 8, kRegister = 16;
  if (sys::raw(SYS_membarrier, kExpedited, 0, 0) == 0) return;
  sys::raw(SYS_membarrier, kRegister, 0, 0);
  sys::raw(SYS_membarrier, kExpedited, 0, 0);
}

namespace {

/// Those of v's own that needn't wait. Not what v awaits and blocks: to look for that is its call's part.
uint64_t unblocked(const VThread* v) noexcept {
  return v->signals_pending.load(std::memory_order_seq_cst) & ~v->signal_mask.load(std::memory_order_relaxed);
}

void notify(VThread* v) noexcept {
  signals_barrier();
  if (!signals_wanted(v) || cancel_end_wait(v)) return;
  if (Carrier* c = __atomic_load_n(&v->carrier, __ATOMIC_ACQUIRE)) eject_for_signals(c);
}

}  // namespace

uint8_t signals_deliver(VThread* v, void* context) noexcept {
  uint8_t ran = 0;
  if (v->in_deliver) return ran;  // we are on top of the loop below, which looks again: in a flood of signals it's always so
  while (unblocked(v)) {
    RuntimeSection::enter(v);
    v->in_deliver = true;
    if (v->is_main) main_signals_look(static_cast<MainThread*>(v));
    uint64_t ready = unblocked(v) & ~bit(kPassed);  // that one is no signal: more has been passed on, and the next turn fetches it
    int signal = ready ? __builtin_ctzll(ready) + 1 : 0;
    siginfo_t info;
    if (signal && unqueue(v, signal, &info)) ran |= run_handler(v, signal, &info, static_cast<ucontext_t*>(context));
    leave_section(v);
    v->in_deliver = false;
  }
  return ran;
}

void signals_run_at_once(MainThread* m, int signal, siginfo_t* info, ucontext_t* context) {
  // What came before it comes first, and what comes during that after it.
  bool waits = (m->in_deliver || signals_wanted(m)) && !(m->signal_mask.load(std::memory_order_relaxed) & bit(signal));
  if (waits && !(synchronous_signals() & bit(signal))) {
    main_signals_pass(m, m->carrier, signal, *info, false);
    signals_deliver(m, context);
    return;
  }
  bool delivers = m->in_deliver;
  RuntimeSection::enter(m);
  m->in_deliver = true;
  run_handler(m, signal, info, context);
  m->in_deliver = delivers;
  leave_section(m);
  if (signals_wanted(m)) signals_deliver(m, context);
}

void signals_send_cancel(VThread* v) noexcept {
  v->signals_pending.fetch_or(bit(kCancels), std::memory_order_seq_cst);
  notify(v);
}

bool signals_end_wait(VThread* v, Interrupt interrupt) noexcept {
  bool cancels = !v->is_main && (v->signals_pending.load(std::memory_order_relaxed) & bit(kCancels));
  if (cancels) v->signals_pending.fetch_and(~bit(kCancels), std::memory_order_relaxed);  // what the wait has changed is to be put right first
  uint32_t depth = v->depth;
  v->depth = 0;
  uint8_t ran = signals_deliver(v, nullptr);
  v->depth = depth;
  if (cancels) v->defer_once(Self::kCancel);
  return ends_call(ran, interrupt) || masked_call_ended(v) || (v->is_main && main_is_interrupted(static_cast<MainThread*>(v), interrupt));
}

int signals_send(VThread* v, int signal, const siginfo_t& info) noexcept {
  if (self()->depth) {  // a handler on top of the runtime: no locks; the rest is the monitor's
    v->signals_pending.fetch_or(bit(signal), std::memory_order_seq_cst);
    all_wanted.store(true, std::memory_order_seq_cst);
    monitor_rescue();
    return 0;
  }
  if (!(v->signal_mask.load(std::memory_order_seq_cst) & bit(signal))) {
    struct sigaction action {};
    bool ignored = signals_action(signal, nullptr, &action) == 0 &&
                   (action.sa_handler == SIG_IGN || (action.sa_handler == SIG_DFL && (bit(signal) & kIgnoredByDefault)));
    if (ignored && !(v->signals_awaited.load(std::memory_order_relaxed) & bit(signal))) return 0;
  }
  {
    RuntimeSection section;
    if (!signals_queue(v, signal, info)) return -EAGAIN;
    if (v != current()) notify(v);
  }
  if (v == current()) signals_deliver(v, nullptr);
  return 0;
}

int signals_take(VThread* v, uint64_t set, siginfo_t* info) noexcept {
  set &= ~sys::kLibcSignals;  // kPassed, kCancels
  while (uint64_t ready = v->signals_pending.load(std::memory_order_seq_cst) & set) {
    int signal = __builtin_ctzll(ready) + 1;
    if (unqueue(v, signal, info)) return signal;
  }
  return 0;
}

void signals_go_on_at(char* top, void (*call)(void*), void* argument) noexcept { vt_go_on_at(top, call, argument); }

bool signals_jumped(VThread* v, char* target) noexcept {
  bool raised = false;
  while (SignalFrame* f = v->signal_frames) {
    if (!f->is_left_by(target) || (f->os_stack.ss_size && is_within(v->alternate_stack, target))) break;
    raised |= f->by_kernel;
    v->signal_frames = f->below;
    v->in_masked_call = false;  // the jump leaves the call, too
    v->in_place = f->in_place;
    if (f->by_kernel) {
      vt_platform.over = nullptr;
      vt_self = v;
    }
    if (f->by_kernel || v->is_main) {
      sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &f->os_mask, nullptr, sizeof f->os_mask);
      if (f->os_stack.ss_size) sys::raw(SYS_sigaltstack, &f->os_stack, nullptr);
    }
    signals_set_mask(v, f->mask);
  }
  return raised;
}

void signals_raised(VThread* v, void (*handler)(int, siginfo_t*, void*), int signal, siginfo_t* info, void* context) noexcept {
  auto* uc = static_cast<ucontext_t*>(context);
  SignalFrame frame{v->signal_mask.load(std::memory_order_relaxed), v->signal_frames, v->in_masked_call, v->in_place, true,
                    (char*)uc->uc_stack.ss_sp};
  memcpy(&frame.os_mask, &uc->uc_sigmask, sizeof frame.os_mask);
  uint64_t now = 0;
  sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, nullptr, &now, sizeof now);
  v->signal_mask.store(frame.mask | (now & ~frame.os_mask), std::memory_order_relaxed);  // the kernel has done it
  v->signal_frames = &frame;
  memcpy(&uc->uc_sigmask, &frame.mask, sizeof frame.mask);
  vt_platform.over = v;
  vt_self = &vt_platform;
  struct sigaction action {};
  const stack_t& own = v->alternate_stack;
  char* here = (char*)__builtin_frame_address(0);
  stack_t whole = uc->uc_stack, lower = whole;
  whole.ss_flags = lower.ss_flags = 0;
  lower.ss_size = (size_t)(here - 4096 - (char*)whole.ss_sp);
  bool moves = !(own.ss_flags & SS_DISABLE) && own.ss_size && is_within(whole, here) && here - (char*)whole.ss_sp > 32 << 10 &&
               !is_within(own, (char*)uc->uc_mcontext.gregs[REG_RSP]) && signals_action(signal, nullptr, &action) == 0 &&
               (action.sa_flags & SA_ONSTACK);
  if (moves) {
    frame.os_stack = whole;
    action.sa_sigaction = handler;
    uc->uc_stack = own;
    Call call{&action, signal, info, context, &lower, &whole};
    vt_call_handler_on((char*)own.ss_sp + own.ss_size, &call);
    uc->uc_stack = whole;
  } else {
    handler(signal, info, context);
  }
  vt_self = v;
  vt_platform.over = nullptr;
  uint64_t after;
  memcpy(&after, &uc->uc_sigmask, sizeof after);
  memcpy(&uc->uc_sigmask, &frame.os_mask, sizeof frame.os_mask);
  v->signal_frames = frame.below;
  signals_set_mask(v, after);
  uint64_t pipe = bit(SIGPIPE), os_mask = frame.os_mask & ~pipe;
  if (v->pipe != PipeMask::kOpen) os_mask |= pipe;
  memcpy(&uc->uc_sigmask, &os_mask, sizeof os_mask);
  if (unblocked(v)) eject_for_signals_later(v->carrier);  // run_signals() kept out
}

void signals_notify_all() noexcept {
  if (!all_wanted.exchange(false, std::memory_order_seq_cst)) return;
  RuntimeSection section;
  for (uint32_t i = 0, n = registry_count(); i < n; ++i) {
    VThread* v = registry_at(i);
    if (v && v->state.load(std::memory_order_acquire) != State::kFree && signals_wanted(v)) notify(v);
  }
}

void signals_begin(VThread* v, uint64_t mask) noexcept {
  if (v->signal_queue) {
    LockGuard guard(queue_lock);
    while (PendingSignal* n = v->signal_queue) {
      v->signal_queue = n->next;
      give_node(v->is_main, n);
    }
  }
  v->signals_pending.store(0, std::memory_order_relaxed);
  v->signals_awaited.store(0, std::memory_order_relaxed);
  v->signal_mask.store(mask, std::memory_order_relaxed);
  v->pipe = mask & bit(SIGPIPE) ? PipeMask::kBlocked : PipeMask::kOpen;
  signals_note_unblocked(mask);
  v->signal_frames = nullptr;
  v->in_masked_call = v->in_deliver = false;
  v->alternate_stack = {};
  v->alternate_stack.ss_flags = SS_DISABLE;
}

void thread_signals_after_fork() noexcept {
  queue_lock.reset();
  signal_routing_after_fork();
  if (!nodes_made) return;
  free_nodes = nullptr;
  nodes_made = nodes_of_main = nodes_of_others = 0;
  all_wanted.store(false, std::memory_order_relaxed);
  for (uint32_t i = 0, n = registry_count(); i < n; ++i)
    if (VThread* v = registry_at(i)) v->signal_queue = nullptr, v->signals_pending.store(0, std::memory_order_relaxed);
}

// ---------------------------------------------------------------- api.h

int thread_sigmask(int how, const sigset_t* set, sigset_t* old) noexcept {
  VThread* v = current();
  uint64_t bits = 0, before = 0;
  if (set) memcpy(&bits, set, sizeof bits);
  if (v->is_main && !v->carrier->is_blocking) {  // its OS thread's own
    if (how != SIG_UNBLOCK) bits &= ~(runtime_signals() | kLibcSignals);
    if (set && how != SIG_BLOCK) signals_main_unblocks(how == SIG_SETMASK ? bits : ~bits);
    if (long r = sys::raw(SYS_rt_sigprocmask, how, set ? &bits : nullptr, &before, sizeof bits); r < 0) return (int)r;
    if (set) signals_note_main_mask(how == SIG_BLOCK ? before | bits : how == SIG_UNBLOCK ? before & ~bits : bits);
  } else {
    before = v->signal_mask.load(std::memory_order_relaxed);
    uint64_t next = before;
    if (set) switch (how) {
        case SIG_BLOCK: next |= bits; break;
        case SIG_UNBLOCK: next &= ~bits; break;
        case SIG_SETMASK: next = bits; break;
        default: return -EINVAL;
      }
    if (set) signals_set_mask(v, next);
    if (before & ~next) signals_have_unblocked(v, before & ~next);
    if (signals_wanted(v) && !v->depth) signals_deliver(v, nullptr);
  }
  if (set && v->is_main && signals_wanted(v) && !v->depth) signals_deliver(v, nullptr);
  if (old) {
    memset(old, 0, sizeof *old);
    memcpy(old, &before, sizeof before);
  }
  return 0;
}

int thread_sigaltstack(const stack_t* stack, stack_t* old) noexcept {
  VThread* v = vt_platform.over ? vt_platform.over : current();
  stack_t before = v->alternate_stack;
  bool on_it = !(before.ss_flags & SS_DISABLE) && is_within(before, &before);
  if (stack) {
    if (on_it) return -EPERM;
    constexpr int kAutoDisarm = (int)(1u << 31);  // SS_AUTODISARM
    constexpr size_t kLeast = 2048;  // the kernel's; libc's MINSIGSTKSZ knows of larger frames
    int mode = stack->ss_flags & ~kAutoDisarm;
    if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0) return -EINVAL;
    if (mode != SS_DISABLE && stack->ss_size < kLeast) return -ENOMEM;
    v->alternate_stack = *stack;
    v->alternate_stack.ss_flags &= SS_DISABLE;
    if (stack->ss_flags & SS_DISABLE) v->alternate_stack = {nullptr, SS_DISABLE, 0};
  }
  if (old) {
    *old = before;
    if (on_it) old->ss_flags |= SS_ONSTACK;
  }
  return 0;
}

int thread_kill(pthread_t thread, int signal) noexcept {
  siginfo_t info = plain_info(signal);
  return thread_queue(thread, signal, &info);
}

int thread_queue(pthread_t thread, int signal, const siginfo_t* info) noexcept {
  if (signal < 0 || signal > 64 || is_runtime_signal(signal) || signal == 32 || signal == 33) return -EINVAL;
  VThread* v = thread_of(thread);
  if (signal == 0 || __atomic_load_n(&v->done, __ATOMIC_RELAXED)) return 0;
  if (signal == SIGKILL || signal == SIGSTOP) return (int)sys::raw(SYS_kill, getpid(), signal);
  return signals_send(v, signal, *info);
}

int thread_tgkill(pid_t process, pid_t id, int signal) noexcept {
  VThread* v = id >= kVirtualTidBase && (process == 0 || process == getpid()) ? registry_find(id) : nullptr;
  if (!v || v->is_main) return kNotVirtual;
  return thread_kill(v->handle(), signal);
}

uint64_t thread_pending_signals() noexcept {
  return on_vthread() ? current()->signals_pending.load(std::memory_order_relaxed) & ~kLibcSignals : 0;
}

}  // namespace vt
