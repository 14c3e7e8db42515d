// Signals that come to the main OS thread, main's while it is a virtual thread: they run on main itself, over what they interrupted, or at the end of its section, or
// in the middle of its wait, on its own stack, where they may park. Layer: core. HACKING.md: "Signals".
#pragma once

#include <signal.h>
#include <stdint.h>
#include <ucontext.h>

namespace vt {

struct Carrier;
struct MainThread;
struct VThread;

/// From here on every handler of the program runs through ours. @thread main, once per process
void signals_take_over() noexcept;
/// sigaction(2): 0 or -errno. @thread any @signal safe
int signals_action(int signal, const struct sigaction* action, struct sigaction* old) noexcept;
/// What the program asked for when `signal` came, though the kernel may have reset it since (SA_RESETHAND). 0 or -errno.
int signals_delivered_action(int signal, struct sigaction* action) noexcept;
/// Before a jump with `env`: the handlers of v's that run in v itself and that it leaves have ended; main goes on at home. Jumps itself where it
/// would have to wait on the OS thread's signal stack. `left_with`: the mask, which stays if `env` has none. @thread v
void signals_leave(VThread* v, void* env, int value, uint64_t left_with) noexcept;
/// Before a sigsetjmp that saves the mask, and whose own part saves the OS thread's: notes the caller's in `env`, a jmp_buf.
void signals_setjmp(void* env) noexcept;
/// siglongjmp out of a handler: false if the caller shall just jump. Doesn't return where the jump is main's to make.
bool signals_longjmp(void* env, int value) noexcept;
/// Main makes an announced blocking call on another OS thread: a handler that ended it natively ends it there.
void signals_interrupt_blocking(MainThread* m) noexcept;
/// Signals that came for main while others ran here. @thread carrier 0's loop
void signals_attend(Carrier* c) noexcept;
/// A section has ended in which one came: `v`'s, or that of a handler of main's (null). @thread v, outside of sections
void signals_section_ended(VThread* v) noexcept;
/// Does the handler that runs on the main OS thread stand in the runtime? @thread the main OS thread, in a handler on top of it
bool signals_handler_is_inside() noexcept;
/// In a signal handler on c's OS thread, where v runs, null in the loop: that stands inside the runtime; or the handler of main's on top of it does.
bool is_inside_here(const Carrier* c, const VThread* v) noexcept;
void signals_after_fork() noexcept;

}  // namespace vt
