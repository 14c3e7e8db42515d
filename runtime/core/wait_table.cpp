#include "core/wait_table.h"

#include <errno.h>
#include <sys/mman.h>

#include "core/cancel.h"
#include "core/scheduler.h"
#include "core/thread_signals.h"
#include "sys/futex.h"
#include "sys/memory.h"

namespace vt {
namespace {

constexpr unsigned kBits = 16;  // 1,000,000 waiters, each for a key of its own: 15 queues in a bucket
alignas(sys::kPageSize) Bucket buckets[1 << kBits];  // 1 MiB of zero pages until used

WaitNode* node_of(Timer* t) noexcept { return (WaitNode*)((char*)t - __builtin_offsetof(WaitNode, timer)); }

void on_deadline(Timer* t, Carrier* here) noexcept {
  WaitNode* n = node_of(t);
  if (take_out(n, WaitResult::kTimedOut)) wake(n, here);
}

WaitResult wait_platform(WaitNode& n, clockid_t clock, const timespec* deadline, bool interruptible) noexcept {
  // Handlers that run meanwhile may use the runtime: no lock is held here.
  Self* s = n.owner;
  uint32_t depth = s->depth;
  timespec mono;
  bool realtime = clock == CLOCK_REALTIME;
  if (deadline && clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) {
    mono = sys::to_timespec(sys::to_monotonic(clock, *deadline));
    deadline = &mono;
  }
  while (n.woken.load(std::memory_order_acquire) == 0) {  // pairs with the release in wake()
    s->depth = 0;
    // The kernel calls a time before 1970 invalid; for POSIX it has passed.
    long r = deadline && deadline->tv_sec < 0 ? -ETIMEDOUT : sys::futex_wait(&n.woken, 0, deadline, realtime);
    s->depth = depth;
    if (r == -ETIMEDOUT || (r == -EINTR && interruptible)) {
      WaitResult why = r == -EINTR ? WaitResult::kInterrupted : WaitResult::kTimedOut;
      if (take_out(&n, why)) return why;
      deadline = nullptr;  // the wake-up is on its way
      interruptible = false;
    }
  }
  return n.result.load(std::memory_order_relaxed);
}

}  // namespace

bool take_out(WaitNode* n, WaitResult result) noexcept {
  for (;;) {
    const void* key = n->key.load(std::memory_order_relaxed);
    Bucket& b = bucket_of(key);
    LockGuard guard(b.lock);
    if (n->key.load(std::memory_order_relaxed) != key) continue;  // requeued meanwhile
    if (n->result.load(std::memory_order_relaxed) != WaitResult::kQueued) return false;
    b.remove(n, result);
    return true;
  }
}

Bucket& bucket_of(const void* key) noexcept {
  return buckets[((uint64_t)key * 0x9e3779b97f4a7c15) >> (64 - kBits)];
}

namespace {
/// For the registry.
void note_wait(VThread* v, WaitNode& n, uint64_t deadline) noexcept {
  ParkReason kind = n.kind.load(std::memory_order_relaxed);
  const void* key = n.key.load(std::memory_order_relaxed);
  if (n.aux && (kind == ParkReason::kMutex || key == n.aux)) kind = ParkReason::kMutex, key = n.aux;  // a broadcast is moving it just now
  v->note.on_key(kind, key, &n, deadline);
}
/// A cancellation, or signals: on a slot they are passed to main, too, while it waits for its turn there, in the middle of a section that then waits again.
bool ends_at_once(const VThread* v, const WaitNode& n) noexcept {
  return (n.cancellable && cancel_wanted(v)) || (!n.keeps_place && (signals_wanted(v) || masked_call_ended(v)));
}
/// Main's park, which a handler may end.
void park_main(MainThread* m, WaitNode& n, Interrupt interrupt, bool for_ever) noexcept {
  m->interrupt = interrupt;
  m->waits_for_ever = for_ever;
  m->waits_on = &n;
  // A handler that comes later than this look finds waits_on, or leaves word for the carrier's loop.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  bool early = (main_is_interrupted(m, interrupt) || ends_at_once(m, n)) && take_out(&n, WaitResult::kInterrupted);
  if (!early) park(n.kind.load(std::memory_order_relaxed));
  m->waits_on = nullptr;
}
}  // namespace

WaitResult wait_on(WaitNode& n, clockid_t clock, const timespec* deadline, Interrupt interrupt) noexcept {
  if (!n.parks) return wait_platform(n, clock, deadline, interrupt != Interrupt::kNever);
  auto* v = static_cast<VThread*>(n.owner);
  if (deadline) {
    // Armed after the node was queued: if it fires at once it finds it; if the wake-up came first it finds nothing.
    n.timer.deadline = sys::to_monotonic(clock, *deadline);
    n.timer.fire = on_deadline;
    if (v->home->gone.load(std::memory_order_relaxed)) v->home = carrier_at(0);  // left while we were on a blocking thread
    v->home->timers.arm(&n.timer);
    if (v->carrier->is_blocking) carrier_wake(v->home);
  }
  note_wait(v, n, deadline ? n.timer.deadline : sys::kForever);
  if (__builtin_expect(v->is_main, 0)) park_main(static_cast<MainThread*>(v), n, interrupt, !deadline);
  else if (!(ends_at_once(v, n) && take_out(&n, WaitResult::kInterrupted)))
    park(n.kind.load(std::memory_order_relaxed));
  if (deadline) TimerHeap::disarm(&n.timer);
  WaitResult r = n.result.load(std::memory_order_relaxed);
  if (__builtin_expect(v->is_main, 0) && static_cast<MainThread*>(v)->goes_native) {
    static_cast<MainThread*>(v)->goes_native = false;
    n.parks = self_parks(v);
    return WaitResult::kAgain;
  }
  if (__builtin_expect(r != WaitResult::kInterrupted || (n.cancellable && cancel_wanted(v)), 1)) return r;
  if (v->is_main && !signals_wanted(v)) return main_is_interrupted(static_cast<MainThread*>(v), interrupt) ? r : WaitResult::kAgain;
  return signals_end_wait(v, interrupt) ? r : WaitResult::kAgain;
}

WaitResult wait_alone(ParkReason reason, clockid_t clock, const timespec* deadline) noexcept {
  RuntimeSection section;
  WaitNode node(section.self_ptr(), reason);
  node.cancellable = true;
  Bucket& b = bucket_of(&node);
  {
    LockGuard guard(b.lock);
    b.push_back(&node, &node);
  }
  return wait_on(node, clock, deadline, Interrupt::kAlways);
}

void wake(WaitNode* n, Carrier* here) noexcept {
  if (n->parks) return unpark(static_cast<VThread*>(n->owner), here);
  n->woken.store(1, std::memory_order_release);  // the node may be gone from here: the address is only a key
  sys::futex_wake(&n->woken, 1);
}

int wake_all(const void* key, ParkReason kind, int count, Carrier* here) noexcept {
  Bucket& b = bucket_of(key);
  WaitNode* list = nullptr;
  WaitNode** end = &list;
  int n = 0;
  {
    LockGuard guard(b.lock);
    while (n < count) {
      WaitNode* w = b.first(key, kind);
      if (!w) break;
      b.remove(w, WaitResult::kWoken);
      *end = w;
      end = &w->next;
      ++n;
    }
  }
  while (list) {
    WaitNode* w = list;
    list = w->next;
    wake(w, here);
  }
  return n;
}

void wait_table_after_fork() noexcept {
  // Most of its pages were never used, and stay so.
  if (sys::raw(SYS_madvise, buckets, sizeof buckets, MADV_DONTNEED) != 0)
    for (Bucket& b : buckets) b.reset();
}

}  // namespace vt
