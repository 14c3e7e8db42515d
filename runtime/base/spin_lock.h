// The runtime's only lock. It spins briefly; then the holder, who needs some hundred ns, must have been preempted, and the CPU is left to it,
// for ever longer moments. There is no queue of sleepers, so that to unlock is a plain store: an instruction with a lock prefix there was a fifth
// of a park and its wake-up (HACKING.md, "What a switch costs"). Layer: base, on sys/.
//
// Ranks: a thread that holds a lock may only take one of a higher rank; HACKING.md has the table.
// @thread any @signal no: what takes one on a program's thread stands in a RuntimeSection (core/self.h)
#pragma once

#include <stdint.h>

#include <atomic>

#include "base/assert.h"
#include "sys/clock.h"
#include "sys/raw.h"

namespace vt {

enum class Rank : uint8_t { kRuntime = 1, kPool, kTimers, kBucket, kBlocking, kRunQueue, kMailbox, kLeaf };

class SpinLock {
 public:
  /// The rank is for who reads: a lock is all zeros, so that tables of them are zero pages until used.
  constexpr explicit SpinLock(Rank) noexcept {}
  SpinLock(const SpinLock&) = delete;
  SpinLock& operator=(const SpinLock&) = delete;

  void lock() noexcept {
    uint32_t expected = 0;
    // acquire: pairs with the release in unlock()
    if (!word_.compare_exchange_strong(expected, 1, std::memory_order_acquire, std::memory_order_relaxed)) lock_slow();
  }
  bool try_lock() noexcept {
    uint32_t expected = 0;
    return word_.compare_exchange_strong(expected, 1, std::memory_order_acquire, std::memory_order_relaxed);
  }
  void unlock() noexcept {
    word_.store(0, std::memory_order_release);  // what was done under the lock; pairs with the acquires above
  }
  /// After fork, in the child: whoever held it is gone.
  void reset() noexcept { word_.store(0, std::memory_order_relaxed); }

 private:
  __attribute__((noinline)) void lock_slow() noexcept {
    for (int i = 0; i < kSpins; ++i) {
      __builtin_ia32_pause();
      if (word_.load(std::memory_order_relaxed) == 0 && try_lock()) return;
    }
    for (long pause = kFirst; !try_lock(); pause = pause < kLongest ? 2 * pause : pause) {
      if (pause < kYields) {
        sys::raw(SYS_sched_yield);
        continue;
      }
      timespec t{0, pause};  // the holder may have a lower priority
      sys::raw(SYS_nanosleep, &t, nullptr);
    }
  }
  static constexpr int kSpins = 100;  // some 4 us: longer than any critical section here
  static constexpr long kFirst = 1'000, kYields = 32'000, kLongest = 1'000'000;  // ns; below kYields it yields instead

  std::atomic<uint32_t> word_{0};
};

class LockGuard {
 public:
  explicit LockGuard(SpinLock& lock) noexcept : lock_(lock) { lock_.lock(); }
  ~LockGuard() { lock_.unlock(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  SpinLock& lock_;
};

}  // namespace vt
