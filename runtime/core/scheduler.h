// Park, unpark, yield: how virtual threads leave and enter carriers. Layer: core. HACKING.md has the essay.
#pragma once

#include <stdint.h>

#include "core/carrier.h"
#include "core/vthread.h"

namespace vt {

/// The caller stops until unpark(); returns at once if that has come already. Stands in a RuntimeSection.
/// @thread vthread @parks
void park(ParkReason reason) noexcept;
/// Makes `v`, which is parked or about to be, runnable. Exactly once per park. `here` is the carrier on which the caller
/// runs, null on a platform thread or the monitor. @thread any
void unpark(VThread* v, Carrier* here) noexcept;
/// The carrier below the caller, null on a platform thread. Not to be kept across a park. @thread any in user context
inline Carrier* carrier_here() noexcept {
  VThread* v = current();
  return v ? v->carrier : nullptr;
}

/// Lets the others in the queue run first. @thread vthread @parks
void yield_now() noexcept;
/// Chaos mode, on the way into the runtime: perhaps yields, to a queue anywhere. @thread any in user context @parks
void chaos_yield() noexcept;

/// A new virtual thread into a queue. @thread any
void schedule_new(VThread* v, Carrier* here) noexcept;
/// Puts a runnable thread into `to`'s queue and wakes who must be woken. @thread any
void enqueue(VThread* v, Carrier* to, Carrier* here) noexcept;

/// The end of the calling virtual thread: leaves its stack for ever.
[[noreturn]] void leave_for_ever() noexcept;
/// Moves to an OS thread for blocking calls, and back. @thread vthread @parks
void to_blocking_thread() noexcept;
void from_blocking_thread() noexcept;

/// The calling virtual thread goes on on `to`, most likely. @thread vthread @parks
void move_to(VThread* v, Carrier* to) noexcept;

/// The first code of a context: finishes the switch that led here.
void arrive(sys::Transfer transfer) noexcept;
/// From the carrier's loop into `v`.
void resume(Carrier* c, VThread* v) noexcept;
/// The next thread for `c`: its queue, finished I/O, timers, others' queues. Null: nothing to do.
VThread* pick(Carrier* c) noexcept;

/// Called by Commit::kExit on the carrier's side; in thread.cpp.
void thread_ended(VThread* v, Carrier* here) noexcept;
/// Lets its joiner go, or itself if it's detached: the last touch of `v`.
void thread_note_end(VThread* v, Carrier* here) noexcept;

/// The back end that config and host chose.
void choose_mount() noexcept;
/// Writes the thread pointer, and nothing else. @signal safe
void mount_area(char* tp) noexcept;
/// From the eject signal's handler, on the stack of `v`, which runs here: off to `to`'s queue, or null: to a blocking thread. @parks
void eject(VThread* v, Carrier* to) noexcept;
extern bool lazy_stealing;

}  // namespace vt
