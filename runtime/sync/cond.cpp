// Condition variables. The clock and the shared flag are where glibc has them (__wrefs); the count of queued waiters is in
// the first word, so that a signal without waiters is one load. Layer: sync.
//
// A waiter queues its node before it lets the mutex go; who signals dequeues exactly one node, FIFO, so no wake-up is lost or
// taken by a later waiter. A broadcast wakes the first and moves the others to the mutex's queue.
#include <errno.h>

#include "api.h"
#include "base/config.h"
#include "core/scheduler.h"
#include "sync/mutex.h"

namespace vt {
namespace {

constexpr unsigned kShared = 1, kMonotonic = 2;  // __wrefs, nptl/pthread_cond_common.c

std::atomic<uint32_t>& waiters(pthread_cond_t* c) noexcept { return *reinterpret_cast<std::atomic<uint32_t>*>(c); }

/// The first waiter out of the queue; null if none.
WaitNode* take_first(Bucket& b, pthread_cond_t* c) noexcept {
  WaitNode* n = b.first(c, ParkReason::kCond);
  if (n) b.remove(n, WaitResult::kWoken);
  return n;
}

}  // namespace

bool cond_is_foreign(const pthread_cond_t* c) noexcept { return c->__data.__wrefs & kShared; }
clockid_t cond_clock(const pthread_cond_t* c) noexcept {
  return c->__data.__wrefs & kMonotonic ? CLOCK_MONOTONIC : CLOCK_REALTIME;
}

int cond_wait(pthread_cond_t* c, pthread_mutex_t* m, clockid_t clock, const timespec* deadline) {
  if (deadline && !sys::valid(*deadline)) return -EINVAL;
  if (config.chaos) chaos_yield();
  if (!mutex_may_release(m)) return -EPERM;
  RuntimeSection section;
  WaitNode node(section.self_ptr(), ParkReason::kCond);
  node.aux = m;
  node.cancellable = true;
  // Whoever dequeues the node takes it off the count, under the lock: once it is dequeued the cond may be destroyed.
  node.counter = &waiters(c);
  Bucket& b = bucket_of(c);
  {
    LockGuard guard(b.lock);
    // seq_cst: with the mutex held by us, whoever signals after taking it sees the count
    waiters(c).fetch_add(1, std::memory_order_seq_cst);
    b.push_back(&node, c);
  }
  unsigned count = mutex_release_for_wait(m);
  WaitResult r = wait_on(node, clock, deadline);
  bool moved = node.key.load(std::memory_order_relaxed) == m;  // to the mutex's queue
  mutex_relock(m, count, moved);
  if (r == WaitResult::kInterrupted) return -EINTR;  // cancelled
  return r == WaitResult::kTimedOut && !moved ? -ETIMEDOUT : 0;
}

int cond_wait_around(pthread_cond_t* c, pthread_mutex_t* m, clockid_t clock, const timespec* deadline, int (*unlock)(pthread_mutex_t*),
                     int (*lock)(pthread_mutex_t*)) {
  WaitResult r;
  {
    RuntimeSection section;  // from its node's publication on a waiter only parks: who wakes it finds it running, or parked
    WaitNode node(section.self_ptr(), ParkReason::kCond);
    node.cancellable = true;
    node.counter = &waiters(c);
    {
      Bucket& b = bucket_of(c);
      LockGuard guard(b.lock);
      waiters(c).fetch_add(1, std::memory_order_seq_cst);
      b.push_back(&node, c);
    }
    ++m->__data.__nusers;  // the holder's to write. A waiter uses the mutex, as libc's destroy shall see
    if (int error = unlock(m)) {  // not the caller's
      --m->__data.__nusers;
      if (!take_out(&node, WaitResult::kTimedOut)) {
        wait_on(node, CLOCK_MONOTONIC, nullptr);  // takes the wake-up that is on its way, and hands it on
        cond_signal(c);
      }
      return -error;
    }
    r = wait_on(node, clock, deadline);
  }
  int error = lock(m);
  if (error == 0 || error == EOWNERDEAD) --m->__data.__nusers;
  if (error) return -error;
  return r == WaitResult::kInterrupted ? -EINTR : r == WaitResult::kTimedOut ? -ETIMEDOUT : 0;
}

int cond_signal(pthread_cond_t* c) noexcept {
  if (waiters(c).load(std::memory_order_seq_cst) == 0) return 0;
  RuntimeSection section;
  Bucket& b = bucket_of(c);
  WaitNode* n;
  {
    LockGuard guard(b.lock);
    n = take_first(b, c);
  }
  if (n) wake(n, carrier_here());
  return 0;
}

int cond_broadcast(pthread_cond_t* c) noexcept {
  if (waiters(c).load(std::memory_order_seq_cst) == 0) return 0;
  RuntimeSection section;
  Bucket& b = bucket_of(c);
  WaitNode* list = nullptr;
  WaitNode** end = &list;
  {
    LockGuard guard(b.lock);
    bool first = true;
    while (WaitNode* n = take_first(b, c)) {
      auto* m = static_cast<pthread_mutex_t*>(n->aux);
      if (!first && m && mutex_adopt_waiter(m, n, b)) continue;
      first = false;
      *end = n;
      end = &n->next;
    }
    *end = nullptr;
  }
  while (list) {
    WaitNode* n = list;
    list = n->next;
    wake(n, carrier_here());
  }
  return 0;
}

int cond_destroy(pthread_cond_t*) noexcept { return 0; }

}  // namespace vt
