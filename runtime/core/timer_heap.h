// One carrier's deadlines: an intrusive red-black tree (Boost.Intrusive), so that arming allocates nothing and 100,000 sleepers
// cost log n each. Layer: core. Lock rank: kTimers; a timer fires under its heap's lock, so once disarm() has returned
// nobody touches the timer any more.
#pragma once

#include <stdint.h>

#include <atomic>
#include <boost/intrusive/set.hpp>

#include "base/spin_lock.h"
#include "sys/clock.h"

namespace vt {

struct Carrier;

struct Timer : boost::intrusive::set_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>,
                                               boost::intrusive::optimize_size<true>> {
  uint64_t deadline = 0;  // ns, CLOCK_MONOTONIC
  /// Called under the heap's lock. `here` is the carrier that looks, null for the monitor.
  void (*fire)(Timer* timer, Carrier* here) = nullptr;
  std::atomic<class TimerHeap*> heap{nullptr};  // where it is armed
  friend bool operator<(const Timer& a, const Timer& b) noexcept { return a.deadline < b.deadline; }
};

class TimerHeap {
 public:
  /// True if it's now the first to fire.
  bool arm(Timer* timer) noexcept;
  /// Safe whether it is armed, fires just now, or has fired. @thread any, not under a lock of rank >= kTimers
  static void disarm(Timer* timer) noexcept;
  /// Fires what is due. @thread any
  void expire(uint64_t now, Carrier* here) noexcept;
  /// The first deadline, or kForever. A hint: no lock.
  uint64_t next() const noexcept { return next_.load(std::memory_order_relaxed); }
  /// In a forked child.
  void reset() noexcept;

 private:
  void publish_next() noexcept;

  SpinLock lock_{Rank::kTimers};
  std::atomic<uint64_t> next_{sys::kForever};
  boost::intrusive::multiset<Timer, boost::intrusive::constant_time_size<false>> tree_;
};

}  // namespace vt
