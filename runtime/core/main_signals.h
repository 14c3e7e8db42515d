// Signals that come while main is away: it makes an announced blocking call on another OS thread, stack and thread
// area, and its own OS thread, where the process's signals arrive, serves others. The handler belongs to main, so it
// runs where main is: what arrives is passed on, and interrupts the call there. Layer: core. HACKING.md: "Signals".
#pragma once

#include <signal.h>
#include <stdint.h>

#include "core/main_thread.h"

namespace vt {

/// In signals_pending: something has been passed on. No thread of the program's is sent libc's signal, and none blocks
/// it. It means "look", and is never to be picked as a signal.
constexpr int kPassed = 32;
/// That main has had no time for: natively RLIMIT_SIGPENDING.
constexpr uint32_t kMostPassed = 8192;

/// Leaves a signal for main; where main is away, it is told.
/// @thread the main OS thread, in the kernel's handler with all blocked; touches no thread-local variable
void main_signals_pass(MainThread* m, Carrier* c, int signal, const siginfo_t& info, bool is_reset) noexcept;
/// The kernel has taken away the handler of one that isn't passed: SA_RESETHAND.
void main_signals_note_reset(int signal) noexcept;
/// What has been passed on is pending, as far as there's room.
/// @thread main
void main_signals_look(MainThread* m) noexcept;
/// Main becomes a virtual thread: nothing has been passed on.
void main_signals_begin() noexcept;
/// Back on its own OS thread, whose mask becomes what main left it as: what is pending and blocked is the kernel's
/// again. In a section. @thread main
void main_signals_settle(MainThread* m) noexcept;
/// The action that the signal came for; `*is_reset`: its handler was for one time, and is gone. 0 or -errno. @thread
/// main
int main_signals_action(MainThread* m, int signal, struct sigaction* action, bool* is_reset) noexcept;
/// A handler of main's is about to run where main is. @thread main
void main_handler_begins(MainThread* m, uint8_t kind) noexcept;
/// Main jumps out of its call: it goes on where it's at home. @thread main
void main_leaves_call(MainThread* m) noexcept;

}  // namespace vt
