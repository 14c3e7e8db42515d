// Signals of the virtual threads other than main: a mask, pending signals and a signal stack of their own. The kernel knows nothing of
// them: who sends one leaves it in `signals_pending`, ends the thread's wait, or interrupts it where it runs, and its handler runs in the
// thread itself, on its own stack or signal stack, where it may park. Layer: core.
//
// Nothing is missed: the sender stores the bit, then looks where the thread is; the thread says where it is (a queued node, a wait in a ring,
// running), then looks at its bits: before each park and after each switch. The sender's membarrier(2) stands for the fence that
// the thread's side then doesn't need.
#pragma once

#include <signal.h>
#include <stdint.h>

#include "core/main_thread.h"
#include "core/vthread.h"

namespace vt {

/// Has v something to do about a signal? @thread v, or who holds what keeps v's wait alive
inline bool signals_wanted(const VThread* v) noexcept {
  uint64_t pending = v->signals_pending.load(std::memory_order_seq_cst);
  return __builtin_expect(pending != 0, 0) &&
         pending & (~v->signal_mask.load(std::memory_order_relaxed) | v->signals_awaited.load(std::memory_order_relaxed));
}

/// A handler has run since v's call began, under the call's own mask.
inline bool masked_call_ended(const VThread* v) noexcept { return v->in_masked_call && v->handlers_run != v->handlers_before; }

/// Runs the handlers of the caller's pending signals that aren't blocked. `context`: the ucontext_t of what they interrupt, null where that is
/// a call into the runtime. Gives the kinds of handlers that ran. @thread v, outside of sections and locks @parks
uint8_t signals_deliver(VThread* v, void* context) noexcept;
/// The handler of a signal that has just come, whatever v's mask says by now: the kernel has asked that. @thread main, outside of sections @parks
void signals_run_at_once(MainThread* m, int signal, siginfo_t* info, ucontext_t* context);
/// The same in the middle of a wait that was taken out of its queue or ring for it. True if that ends the call.
bool signals_end_wait(VThread* v, Interrupt interrupt) noexcept;

/// A signal that an instruction of v's raised: its handler runs on the OS thread's signal stack, where nothing parks: v is a platform
/// thread meanwhile. `context`: the kernel's. @thread v, in the kernel's handler
void signals_raised(VThread* v, void (*handler)(int, siginfo_t*, void*), int signal, siginfo_t* info, void* context) noexcept;
/// Leaves a signal for v and sees to it that v notices. 0, -EAGAIN (too many queued). @thread any @signal safe
int signals_send(VThread* v, int signal, const siginfo_t& info) noexcept;
/// Tells v, not main, that it was cancelled asynchronously. In a section @thread any
void signals_send_cancel(VThread* v) noexcept;
/// Leaves one in v, who looks by itself. False: no room. In a section @thread any
bool signals_queue(VThread* v, int signal, const siginfo_t& info) noexcept;
/// What the sender's side needs between the signal and the look where v is. @signal safe
void signals_barrier() noexcept;
/// Takes one of `set` out of v's own. 0: there is none. In a section of v's, or @thread scheduler
int signals_take(VThread* v, uint64_t set, siginfo_t* info) noexcept;
/// siglongjmp out of handlers to where the stack pointer is `target`: the masks are what they were before those. True if one of them was an
/// instruction's: the caller stands on its OS thread's signal stack. @thread v
bool signals_jumped(VThread* v, char* target) noexcept;
/// `call(argument)`, which doesn't return, on the stack below `top`.
[[noreturn]] void signals_go_on_at(char* top, void (*call)(void*), void* argument) noexcept;
/// For each virtual thread that was sent a signal by a handler which stood on the runtime. @thread monitor
void signals_notify_all() noexcept;
/// v's mask becomes `mask`. @thread v
void signals_set_mask(VThread* v, uint64_t mask) noexcept;
/// The OS thread's mask becomes v's, as far as the kernel must know it; SIGPIPEs of main's stay main's. @thread scheduler of c
void signals_follow_mask(Carrier* c, VThread* v) noexcept;
/// The main OS thread's mask has become `mask`: a process-directed signal that main blocks goes to a thread that doesn't. @thread main
void signals_note_main_mask(uint64_t mask) noexcept;
/// The main OS thread is about to unblock what isn't in `mask`: from here on what comes is main's, as for Linux. Before the system call. @thread main
void signals_main_unblocks(uint64_t mask) noexcept;
/// Main waits for these, which it blocks, in sigwait(3) or its kin: they are its own. 0: no longer. @thread main
void signals_main_awaits(uint64_t bits) noexcept;
/// Takes one of the process's; main's own, too, if the caller is main. Another thread on main's OS thread asks where main's aren't. -EAGAIN: there is none.
/// @thread v, not in a section @parks
long signals_take_of_process(VThread* v, uint64_t bits, siginfo_t* info) noexcept;
/// Main has one of these pending, and so has its OS thread, on which `v` is: it can't wait there for the process's.
bool signals_mains_in_the_way(const VThread* v, uint64_t bits) noexcept;
/// v no longer blocks these. What is pending in the process, because main blocks it, too, becomes pending in v before v goes on. @thread v @parks
void signals_have_unblocked(VThread* v, uint64_t bits) noexcept;
/// Main's mask, as it was told last.
uint64_t signals_main_mask() noexcept;
/// Some virtual thread's mask has become `mask`. @thread any
void signals_note_unblocked(uint64_t mask) noexcept;
/// Those that the monitor watches for. @thread monitor
uint64_t signals_for_monitor() noexcept;
/// Somebody waits for a look. @thread monitor
bool signals_look_asked() noexcept;
/// Gives what is pending in the process to threads that don't block it. @thread monitor
void signals_pass_on() noexcept;
/// In a new thread's place: nothing is pending.
void signals_begin(VThread* v, uint64_t mask) noexcept;
void thread_signals_after_fork() noexcept;
void signal_routing_after_fork() noexcept;

}  // namespace vt
