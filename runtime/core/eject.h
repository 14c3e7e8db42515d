// A virtual thread that blocks or computes on a carrier which others need is taken off it in the middle: a signal stops it, its
// handler switches to the next thread, and it goes on, out of the handler, on another OS thread; a system call that it was blocked in
// starts again there. So a call that blocks behind our back becomes one that was announced (core/blocking.h). HACKING.md: "Ejection".
// Layer: core.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include "core/blocking.h"

namespace vt {

struct Carrier;
struct VThread;

/// Reserves the signal and installs its handler. @thread user context, once
void eject_install() noexcept;
int eject_signal() noexcept;
/// The system call that `c` is in, for the handlers. False: it is in none, or a handler that is to come needs what was noted last. @thread monitor
bool eject_note_call(Carrier* c) noexcept;
/// A handler is to come that needs what was noted. @thread monitor
bool eject_is_coming(const Carrier* c) noexcept;
/// In a signal handler on c's OS thread: if that interrupted a call, the noted one mostly, and ended it with EINTR, it starts again: true.
bool eject_restart_call(Carrier* c, void* context) noexcept;
/// The same where none is noted. `not_restarted`: the signal has no SA_RESTART, and the kernel has ended those, too, that it restarts else.
bool call_set_back(void* context, bool not_restarted = false) noexcept;
/// `v` waits in the kernel on `c`: to a blocking thread with it. kNo: that can't be done (pinned, a stack too small for the handler, a call that belongs
/// to its OS thread; no OS thread to be had). kYes: the signal was sent. @thread monitor
Claim eject_blocked(Carrier* c, VThread* v) noexcept;
/// Interrupts whoever runs on c, so that it looks at its signals. @thread any
void eject_for_signals(Carrier* c) noexcept;
/// The same when the handler in which the caller stands, on c's OS thread, has returned: the signal is blocked until then.
void eject_for_signals_later(Carrier* c) noexcept;
/// `v`, which runs on c, carrier 0, in its own code, goes to the end of c's queue, so that what is held for main has its turn: at once, or when the handler in
/// which the caller stands, over `over`, has returned. False: it can't be moved. @thread c's OS thread, outside of sections
bool eject_for_main(Carrier* c, VThread* v, const ucontext_t* over) noexcept;
/// As eject_blocked, but `v` only goes to the end of the queue of `to`, c itself mostly, and waits again when its turn comes: where no OS thread can be
/// had. @thread monitor
bool eject_waiting(Carrier* c, VThread* v, Carrier* to) noexcept;
/// `v` computes on c: to `to`'s queue. True if the signal was sent. `to` may be c itself, a slot: the others there have their turn. Not while v is in malloc's code, nor in libc's, unless `firmly`: core/slot.h.
bool eject_computing(Carrier* c, VThread* v, Carrier* to, bool firmly = true) noexcept;

}  // namespace vt
