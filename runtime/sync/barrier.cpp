// Barriers, in the memory of pthread_barrier_t. The last to arrive wakes the others, who touch the barrier no more: it may be
// destroyed as soon as one has returned. Layer: sync.
#include <errno.h>
#include <limits.h>

#include "api.h"
#include "base/config.h"
#include "core/scheduler.h"
#include "core/wait_table.h"

namespace vt {
namespace {

/// `shared` is where glibc has it.
struct Barrier {
  uint32_t arrived, reserved, count;
  int shared;
};
static_assert(sizeof(Barrier) <= sizeof(pthread_barrier_t));
Barrier* of(pthread_barrier_t* b) noexcept { return reinterpret_cast<Barrier*>(b); }

}  // namespace

bool barrier_is_foreign(const pthread_barrier_t* b) noexcept { return of(const_cast<pthread_barrier_t*>(b))->shared != 0; }

int barrier_init(pthread_barrier_t* b, unsigned count) noexcept {
  if (count == 0 || count > INT_MAX) return -EINVAL;
  *of(b) = {0, 0, count, 0};
  return 0;
}

int barrier_wait(pthread_barrier_t* barrier) noexcept {
  if (config.chaos) chaos_yield();
  RuntimeSection section;
  WaitNode node(section.self_ptr(), ParkReason::kBarrier);
  node.keeps_place = true;  // once it has arrived it may not touch the barrier again
  Bucket& b = bucket_of(barrier);
  {
    LockGuard guard(b.lock);
    Barrier* o = of(barrier);
    if (++o->arrived < o->count) {
      b.push_back(&node, barrier);
    } else {
      o->arrived = 0;
      WaitNode* list = nullptr;
      WaitNode** end = &list;
      while (WaitNode* n = b.first(barrier, ParkReason::kBarrier)) {
        b.remove(n, WaitResult::kWoken);
        *end = n;
        end = &n->next;
      }
      *end = nullptr;
      // Woken under the lock: pthread_barrier_destroy takes it, and so comes after.
      while (list) {
        WaitNode* n = list;
        list = n->next;
        wake(n, carrier_here());
      }
      return PTHREAD_BARRIER_SERIAL_THREAD;
    }
  }
  wait_on(node, CLOCK_MONOTONIC, nullptr);
  return 0;
}

int barrier_destroy(pthread_barrier_t* barrier) noexcept {
  RuntimeSection section;
  LockGuard guard(bucket_of(barrier).lock);
  return 0;
}

}  // namespace vt
