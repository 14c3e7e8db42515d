// Semaphores in glibc's layout for 64-bit: the value in the low half of one word, the number of waiters in the high half, then
// the private flag (0; 128 if process-shared). Layer: sync.
//
// A post for several waiters may be overtaken by a thread that is running, once for each waiter. To be handed every unit in turn, as one waiter is,
// makes a queue that has formed once go on for ever: who releases a lock and takes it again then stands behind all others (HACKING.md, "Convoys").
//
// sem_post may race with the waiter's free(): after its atomic add (or its grant) the poster uses the address as a key only, and touches the
// semaphore again only while a node for it is queued and the bucket is locked: its waiter can't have returned then.
#include <errno.h>
#include <limits.h>
#include <semaphore.h>

#include "api.h"
#include "base/config.h"
#include "core/scheduler.h"
#include "core/wait_table.h"

namespace vt {
namespace {

constexpr uint64_t kWaiter = 1ull << 32;
constexpr uint32_t kMax = 0x7fffffff;  // SEM_VALUE_MAX

std::atomic<uint64_t>& data(sem_t* s) noexcept { return *reinterpret_cast<std::atomic<uint64_t>*>(s); }
uint32_t value(uint64_t d) noexcept { return (uint32_t)d; }

bool take(sem_t* s) noexcept {
  uint64_t d = data(s).load(std::memory_order_relaxed);
  while (value(d))
    // acquire: pairs with the poster's release [sem]
    if (data(s).compare_exchange_weak(d, d - 1, std::memory_order_acquire, std::memory_order_relaxed)) return true;
  return false;
}

/// The slow half of a post, by key. The first waiter is woken to take the unit, if nobody is quicker; if that was so before, it's given to it.
void wake_first(sem_t* s, Carrier* here) noexcept {
  Bucket& b = bucket_of(s);
  WaitNode* node;
  {
    LockGuard guard(b.lock);
    node = b.first(s, ParkReason::kSem);
    if (!node) return;
    node->granted = node->starved;
    uint64_t d = data(s).load(std::memory_order_relaxed);
    do
      if (!value(d)) return;  // somebody who didn't wait took it; the next post looks again
    while (!data(s).compare_exchange_weak(d, d - kWaiter - node->granted, std::memory_order_acq_rel));
    b.remove(node, WaitResult::kWoken);
  }
  wake(node, here);
}

}  // namespace

void sem_hand_over(void* sem, Carrier* here) noexcept {
  auto word = (uintptr_t)sem;
  if (word & 1) wake_all((const void*)(word - 1), ParkReason::kFutex, INT_MAX, here);
  else wake_first(static_cast<sem_t*>(sem), here);
}

bool sem_is_foreign(const sem_t* s) noexcept { return ((const uint32_t*)s)[2] != 0; }

int sem_try(sem_t* s) noexcept { return take(s) ? 0 : -EAGAIN; }

int sem_acquire(sem_t* s, clockid_t clock, const timespec* deadline) {
  if (deadline && !sys::valid(*deadline)) return -EINVAL;
  if (config.chaos) chaos_yield();
  if (take(s)) return 0;
  main_call_begins(current());
  RuntimeSection section;
  WaitNode node(section.self_ptr(), ParkReason::kSem);
  node.cancellable = true;
  Bucket& b = bucket_of(s);
again:
  {
    LockGuard guard(b.lock);
    data(s).fetch_add(kWaiter, std::memory_order_seq_cst);  // the mark
    if (take(s)) {                                          // the second look
      data(s).fetch_sub(kWaiter, std::memory_order_relaxed);
      return 0;
    }
    b.push_back(&node, s);
  }
  switch (wait_on(node, clock, deadline, deadline ? Interrupt::kAlways : Interrupt::kUnlessRestart)) {
    case WaitResult::kTimedOut: data(s).fetch_sub(kWaiter, std::memory_order_relaxed); return -ETIMEDOUT;
    case WaitResult::kInterrupted: data(s).fetch_sub(kWaiter, std::memory_order_relaxed); return -EINTR;
    case WaitResult::kAgain: data(s).fetch_sub(kWaiter, std::memory_order_relaxed); goto again;
    default:  // the poster took our mark off, and our unit if it was granted
      if (node.granted) return 0;
      node.starved = true;
      node.woken.store(0, std::memory_order_relaxed);
      goto again;
  }
}

namespace {
/// The post of who finds one mark: straight to the first waiter, so that the word need not be changed twice. False: it has timed out meanwhile.
bool grant(sem_t* s, Carrier* here) noexcept {
  Bucket& b = bucket_of(s);
  WaitNode* node;
  {
    LockGuard guard(b.lock);
    node = b.first(s, ParkReason::kSem);
    if (!node) return false;
    data(s).fetch_sub(kWaiter, std::memory_order_acq_rel);  // [sem]
    node->granted = true;
    b.remove(node, WaitResult::kWoken);
  }
  wake(node, here);
  return true;
}
}  // namespace

int sem_release(sem_t* s) noexcept {
  uint64_t d = data(s).load(std::memory_order_relaxed);
  if (d == kWaiter && !self()->depth) {
    RuntimeSection section;
    if (grant(s, carrier_here())) return 0;
    d = data(s).load(std::memory_order_relaxed);
  }
  do
    if (value(d) == kMax) return -EOVERFLOW;
  while (!data(s).compare_exchange_weak(d, d + 1, std::memory_order_acq_rel, std::memory_order_relaxed));  // [sem]
  if (d < kWaiter) return 0;
  Self* me = self();
  if (me->depth) {
    // A signal handler on top of the runtime: the section that it interrupted does the rest when it ends.
    VT_CHECK(me->deferred_count < Self::kMaxDeferred);
    me->deferred[me->deferred_count] = s;
    me->deferred_count = (uint8_t)(me->deferred_count + 1);
    return 0;
  }
  RuntimeSection section;
  wake_first(s, carrier_here());
  return 0;
}

}  // namespace vt
