#include "core/look_ups.h"

#include "api.h"
#include "core/cancel.h"
#include "core/carrier.h"
#include "core/pin.h"
#include "core/scheduler.h"
#include "core/wait_table.h"

namespace vt {
namespace {

constexpr unsigned kAtOnce = 16;
constexpr uint64_t kPatience = 10'000'000;  // ns: where none ends for so long, who is the n-th in the queue begins after n times that

unsigned under_way = 0, queued = 0;  // under the lock of the bucket of the first's address, the key
uint64_t last_end = 0;               // ns, likewise

/// True: it's counted.
bool begin_or_queue(Bucket& b, WaitNode& node, bool timed_out) noexcept {
  LockGuard guard(b.lock);
  bool none_ends = timed_out && sys::now() - last_end >= kPatience;
  if (!none_ends && under_way >= kAtOnce) {
    b.push_back(&node, &under_way);
    ++queued;
    return false;
  }
  ++under_way;
  return true;
}

}  // namespace

bool look_up_begin(bool cancellable) noexcept {
  RuntimeSection section;
  VThread* v = current();
  // Not one that a module of libc's makes in the middle of another.
  if (!has_carrier(v) || !self_parks(v) || v->carrier->is_blocking || v->in_announced || v->looks_up || pinned_now(v)) return false;
  WaitNode node(v, ParkReason::kBlocking);
  node.cancellable = cancellable;
  Bucket& b = bucket_of(&under_way);
  for (bool timed_out = false; !begin_or_queue(b, node, timed_out);) {
    timespec then = sys::to_timespec(sys::now() + kPatience * __atomic_load_n(&queued, __ATOMIC_RELAXED));
    WaitResult r = wait_on(node, CLOCK_MONOTONIC, &then);
    {
      LockGuard guard(b.lock);
      --queued;
    }
    if (r == WaitResult::kWoken) break;  // counted by who ended
    if (r == WaitResult::kInterrupted && cancel_wanted(v)) return false;
    timed_out = r == WaitResult::kTimedOut;
  }
  v->looks_up = true;
  return true;
}

void look_up_end(VThread* v) noexcept {
  RuntimeSection section;
  if (!v || !v->looks_up) return;
  v->looks_up = false;
  Bucket& b = bucket_of(&under_way);
  WaitNode* next;
  {
    LockGuard guard(b.lock);
    last_end = sys::now();
    next = b.first(&under_way, ParkReason::kBlocking);
    if (next) b.remove(next, WaitResult::kWoken);
    else --under_way;
  }
  if (next) wake(next, carrier_here());
}

void look_ups_after_fork() noexcept { under_way = queued = 0; }

/// api.h
LookUp::LookUp(bool cancellable) noexcept : counts_(look_up_begin(cancellable)) {}
LookUp::~LookUp() {
  if (counts_) look_up_end(current());
}

}  // namespace vt
