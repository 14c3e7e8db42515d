// Mutexes in glibc's own layout: __lock, __owner, __count, __nusers and __kind mean what they mean there. Layer: sync.
//
//   __lock   meaning                      legal to
//   0        free                         0 -> 1 by who locks; 0 -> 2 by who locks in the slow path
//   1        held                         1 -> 0 by the holder; 1 -> 2 under the bucket's lock
//   2        held, waiters may be queued  the holder, under the bucket's lock: -> 0 and wakes the first, or stays held and is
//                                         handed to the first if that was woken in vain before
// The hand-over keeps a thread that unlocks, locks again and parks inside from starving the others: with threads that
// only leave the CPU inside the lock, barging alone would starve them for ever. The bucket is that of the mutex's address.
#include "sync/mutex.h"

#include <errno.h>

#include "api.h"
#include "base/config.h"
#include "core/cancel.h"
#include "core/scheduler.h"
#include "core/thread_area.h"
#include "sys/fs_base.h"

namespace vt {
namespace {

constexpr int kTypeMask = 3;
constexpr int kSharedMutex = 128;
constexpr int kForeign = 16 | 32 | 64 | kSharedMutex;  // robust, priority inheriting, priority protecting, process-shared
constexpr int kRecursive = PTHREAD_MUTEX_RECURSIVE_NP, kErrorCheck = PTHREAD_MUTEX_ERRORCHECK_NP;
constexpr int kAdaptive = PTHREAD_MUTEX_ADAPTIVE_NP;
constexpr int kSpins = 100;

std::atomic<int>& word(pthread_mutex_t* m) noexcept { return *reinterpret_cast<std::atomic<int>*>(&m->__data.__lock); }
int type(const pthread_mutex_t* m) noexcept { return m->__data.__kind & kTypeMask; }

bool try_fast(pthread_mutex_t* m) noexcept {
  int expected = 0;
  // acquire: pairs with the release in unlock_word() [mutex]
  return word(m).compare_exchange_strong(expected, 1, std::memory_order_acquire, std::memory_order_relaxed);
}

void own(pthread_mutex_t* m) noexcept {
  m->__data.__owner = own_tid();
  ++m->__data.__nusers;
}

/// 0, -ETIMEDOUT, -EINVAL.
/// `must_mark`: the caller comes out of the mutex's own queue and others may be left in it: only ever 0 -> 2, so no spinning on 0 -> 1.
/// `relocks`: who is cancelled has it first.
__attribute__((noinline)) int lock_slow(pthread_mutex_t* m, clockid_t clock, const timespec* deadline, bool must_mark = false,
                                        bool relocks = false) noexcept {
  if (deadline && !sys::valid(*deadline)) return -EINVAL;
  if (type(m) == kAdaptive && !must_mark)
    for (int i = 0; i < kSpins; ++i) {
      __builtin_ia32_pause();
      if (word(m).load(std::memory_order_relaxed) == 0 && try_fast(m)) return 0;
    }
  RuntimeSection section;
  WaitNode node(section.self_ptr(), ParkReason::kMutex);
  Bucket& b = bucket_of(m);
  for (;;) {
    {
      LockGuard guard(b.lock);
      // The mark and the second look in one: it's 2 from now on, and ours if it was 0.
      if (word(m).exchange(2, std::memory_order_acquire) == 0) return 0;
      b.push_back(&node, m);
    }
    WaitResult r = wait_on(node, clock, deadline);
    if (r == WaitResult::kTimedOut) return -ETIMEDOUT;
    if (r == WaitResult::kAgain) {
      if (!relocks && node.parks && cancel_unwinds(static_cast<VThread*>(node.owner))) return -EINTR;  // to nobody: the section's end unwinds
      continue;
    }
    if (node.granted) {
      word(m).load(std::memory_order_acquire);
      return 0;
    }
    node.starved = true;
    node.woken.store(0, std::memory_order_relaxed);
  }
}

int lock_word(pthread_mutex_t* m, clockid_t clock, const timespec* deadline) noexcept {
  return try_fast(m) ? 0 : lock_slow(m, clock, deadline);
}

__attribute__((noinline)) void unlock_slow(pthread_mutex_t* m) noexcept {
  RuntimeSection section;
  Bucket& b = bucket_of(m);
  WaitNode* node;
  {
    LockGuard guard(b.lock);
    node = b.first(m, ParkReason::kMutex);
    if (node) b.remove(node, WaitResult::kWoken);
    if (node && node->starved)
      node->granted = true;  // stays 2: the next unlock looks for further waiters
    else
      word(m).store(0, std::memory_order_release);  // [mutex]
  }
  if (node) wake(node, carrier_here());
}

void unlock_word(pthread_mutex_t* m) noexcept {
  int expected = 1;
  if (!word(m).compare_exchange_strong(expected, 0, std::memory_order_release, std::memory_order_relaxed)) unlock_slow(m);
}

}  // namespace

bool mutex_is_foreign(const pthread_mutex_t* m) noexcept { return m->__data.__kind & kForeign; }
bool mutex_is_bound(const pthread_mutex_t* m) noexcept { return m->__data.__kind & (kForeign & ~kSharedMutex); }

int mutex_timedlock(pthread_mutex_t* m, clockid_t clock, const timespec* deadline) noexcept {
  if (config.chaos) chaos_yield();
  int t = type(m);
  if (t == kRecursive || t == kErrorCheck) {
    if (m->__data.__owner == own_tid()) {
      if (t == kErrorCheck) return -EDEADLK;
      if (m->__data.__count + 1 == 0) return -EAGAIN;
      ++m->__data.__count;
      return 0;
    }
  }
  if (int r = lock_word(m, clock, deadline)) return r;
  m->__data.__count = 1;
  own(m);
  return 0;
}

int mutex_lock(pthread_mutex_t* m) noexcept {
  if (__builtin_expect(type(m) == PTHREAD_MUTEX_TIMED_NP && !config.chaos, 1)) {
    if (int r = lock_word(m, CLOCK_MONOTONIC, nullptr)) return r;
    own(m);
    return 0;
  }
  return mutex_timedlock(m, CLOCK_MONOTONIC, nullptr);
}

int mutex_trylock(pthread_mutex_t* m) noexcept {
  if (type(m) == kRecursive && m->__data.__owner == own_tid()) {
    if (m->__data.__count + 1 == 0) return -EAGAIN;
    ++m->__data.__count;
    return 0;
  }
  if (!try_fast(m)) return -EBUSY;
  m->__data.__count = 1;
  own(m);
  return 0;
}

int mutex_unlock(pthread_mutex_t* m) noexcept {
  int t = type(m);
  if (__builtin_expect(t == kRecursive || t == kErrorCheck, 0)) {
    if (m->__data.__owner != own_tid()) return -EPERM;
    if (t == kRecursive && --m->__data.__count) return 0;
  }
  m->__data.__owner = 0;
  --m->__data.__nusers;
  unlock_word(m);
  return 0;
}

bool mutex_may_release(const pthread_mutex_t* m) noexcept {
  int t = type(m);
  return (t != kRecursive && t != kErrorCheck) || m->__data.__owner == own_tid();
}

unsigned mutex_release_for_wait(pthread_mutex_t* m) noexcept {
  int t = type(m);
  unsigned count = t == kRecursive ? m->__data.__count : 1;
  if (t == kRecursive) m->__data.__count = 0;
  m->__data.__owner = 0;
  // __nusers stays: pthread_mutex_destroy must see that the waiters will be back.
  unlock_word(m);
  return count;
}

void mutex_relock(pthread_mutex_t* m, unsigned count, bool was_queued) noexcept {
  if (was_queued || !try_fast(m)) lock_slow(m, CLOCK_MONOTONIC, nullptr, was_queued, true);
  m->__data.__count = count;
  m->__data.__owner = own_tid();
}

bool mutex_adopt_waiter(pthread_mutex_t* m, WaitNode* node, Bucket& held) noexcept {
  Bucket& b = bucket_of(m);
  // Both locks, without an order: this one is only tried.
  if (&b != &held && !b.lock.try_lock()) return false;
  int expected = 1;
  bool adopted = word(m).compare_exchange_strong(expected, 2, std::memory_order_relaxed) || expected == 2;
  if (adopted) {
    node->kind.store(ParkReason::kMutex, std::memory_order_relaxed);
    node->counter = nullptr;
    b.push_back(node, m);
  }
  if (&b != &held) b.lock.unlock();
  return adopted;
}

}  // namespace vt
