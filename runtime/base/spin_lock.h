// The runtime's only lock: a word that spins briefly and then sleeps in the kernel (the holder may have been
// preempted; there are more carriers than CPUs at times). Layer: base, on sys/futex.h.
//
//   word   meaning     legal to
//   0      free        0 -> 1 by who locks
//   1      held        1 -> 0 by the holder; 1 -> 2 by a waiter
//   2      held, and somebody may sleep: the holder wakes one when it stores 0
//
// Ranks: a thread that holds a lock may only take one of a higher rank; HACKING.md has the table.
// @thread any @signal no: what takes one on a program's thread stands in a RuntimeSection (core/self.h)
#pragma once

#include <stdint.h>

#include <atomic>

#include "base/assert.h"
#include "sys/futex.h"

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
    // release: what was done under the lock; pairs with the acquires above
    if (word_.exchange(0, std::memory_order_release) == 2) sys::futex_wake(&word_, 1);
  }
  /// After fork, in the child: whoever held it is gone.
  void reset() noexcept { word_.store(0, std::memory_order_relaxed); }

 private:
  __attribute__((noinline)) void lock_slow() noexcept {
    for (int i = 0; i < kSpins; ++i) {
      __builtin_ia32_pause();
      if (word_.load(std::memory_order_relaxed) == 0 && try_lock()) return;
    }
    while (word_.exchange(2, std::memory_order_acquire) != 0) sys::futex_wait(&word_, 2);
  }
  static constexpr int kSpins = 100;  // some 4 us: longer than any critical section here

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
