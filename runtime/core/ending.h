// What VTSHIM_LOG=info tells: one line at the process's first thread, and the counters at its end, whatever ends it. Layer: core.
//
// Who dies by a signal's default action can tell nothing. So the signals that end servers have a handler of ours in the kernel while the program
// wants the default; it prints, restores the default and sends the signal again, so that the wait status is the same. The program doesn't see it:
// sigaction(2) answers what it was told, exec takes it away, a forked child dies without a word. Below info nothing of this is there.
#pragma once

#include <signal.h>

namespace vt {

/// A thread is about to be virtual. @thread any, start_lock held
void ending_watch() noexcept;
/// The counters, if this process ever had a virtual thread. @thread any @signal safe
void ending_tell() noexcept;
/// The same, once: nothing comes after it.
void ending_tell_last() noexcept;
/// sigaction(2) on the kernel as the program sees it, without the handlers above. -1 and errno. @signal safe
int ending_sigaction(int signal, const struct sigaction* action, struct sigaction* old) noexcept;
bool is_ending_handler(void (*handler)(int, siginfo_t*, void*)) noexcept;

}  // namespace vt
