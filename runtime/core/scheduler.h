// Park, unpark, yield: how virtual threads leave and enter carriers. Layer: core. HACKING.md has the essay.
#pragma once

#include <stdint.h>

#include "base/config.h"
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
/// Every so many calls on descriptors: lets others run if the caller has run for long. True. @parks
__attribute__((noinline, cold)) bool take_turns() noexcept;

/// A new virtual thread into a queue. @thread any
void schedule_new(VThread* v, Carrier* here) noexcept;
/// Puts a runnable thread into `to`'s queue and wakes who must be woken. `woken`: by the thread that runs on `here`. @thread any
void enqueue(VThread* v, Carrier* to, Carrier* here, bool woken = false) noexcept;

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

/// For the moves to `to` of RunQueue's: whom main's carrier isn't to get.
uint32_t main_tick(const Carrier* to) noexcept;

/// Called by Commit::kExit on the carrier's side; in thread.cpp.
void thread_ended(VThread* v, Carrier* here) noexcept;
/// Lets its joiner go, or itself if it's detached: the last touch of `v`.
void thread_note_end(VThread* v, Carrier* here) noexcept;

/// The back end that config and host chose.
void choose_mount() noexcept;
/// What it chose.
TlsBackend chosen_mount() noexcept;
/// Writes the thread pointer, and nothing else. @signal safe
void mount_area(char* tp) noexcept;
/// From the eject signal's handler, on the stack of `v`, which runs here: off to `to`'s queue, or null: to a blocking thread. @parks
void eject(VThread* v, Carrier* to) noexcept;

/// Whether further carriers are worth their while, learnt from what became of the last times one helped. HACKING.md, "Stealing".
class StealCredit {
 public:
  void begin(bool fixed, bool quick) noexcept {
    fixed_ = fixed;
    helpers_.store(0, std::memory_order_relaxed);
    credit_.store(quick ? kMost : -kMost, std::memory_order_relaxed);
  }
  /// An idle carrier may look for work by itself, and is called at once; else only when the monitor sees threads that wait.
  bool quick() const noexcept { return credit_.load(std::memory_order_relaxed) > 0; }
  /// While somebody helps, the others' idle time is counted.
  bool watched() const noexcept { return helpers_.load(std::memory_order_relaxed) > 0; }
  void helps() noexcept { helpers_.fetch_add(1, std::memory_order_relaxed); }
  /// A carrier that had taken another's threads was busy with them for `ns` while that one was, too.
  void helped(uint64_t ns) noexcept {
    helpers_.fetch_sub(1, std::memory_order_relaxed);
    if (fixed_) return;
    int c = credit_.load(std::memory_order_relaxed) + (ns >= kWorthwhile ? kGain : -1);
    credit_.store(c > kMost ? kMost : c < -kMost ? -kMost : c, std::memory_order_relaxed);  // a hint: a lost update does no harm
  }

 private:
  static constexpr int kMost = 32, kGain = 8;
  static constexpr uint64_t kWorthwhile = 100'000;  // ns: more than the wake-up of a carrier and the way of a lock's word cost
  std::atomic<int> credit_{0};
  std::atomic<int> helpers_{0};
  bool fixed_ = false;
};
extern StealCredit steal_credit;

}  // namespace vt
