#include "core/timer_heap.h"

namespace vt {

void TimerHeap::publish_next() noexcept {
  next_.store(tree_.empty() ? sys::kForever : tree_.begin()->deadline, std::memory_order_relaxed);
}

bool TimerHeap::arm(Timer* timer) noexcept {
  LockGuard guard(lock_);
  auto at = tree_.insert(*timer);
  timer->heap.store(this, std::memory_order_relaxed);
  publish_next();
  return at == tree_.begin();
}

void TimerHeap::disarm(Timer* timer) noexcept {
  TimerHeap* heap = timer->heap.load(std::memory_order_acquire);
  if (!heap) return;  // never armed, or fired: fire() ran under the lock, see below
  LockGuard guard(heap->lock_);
  if (timer->heap.load(std::memory_order_relaxed) != heap) return;
  heap->tree_.erase(heap->tree_.iterator_to(*timer));
  timer->heap.store(nullptr, std::memory_order_relaxed);
  heap->publish_next();
}

void TimerHeap::expire(uint64_t now, Carrier* here) noexcept {
  if (next() > now) return;
  LockGuard guard(lock_);
  while (!tree_.empty() && tree_.begin()->deadline <= now) {
    Timer* timer = &*tree_.begin();
    tree_.erase(tree_.begin());
    auto fire = timer->fire;
    fire(timer, here);
    // release, last touch: a disarm that reads null may let the timer's memory go
    timer->heap.store(nullptr, std::memory_order_release);
  }
  publish_next();
}

void TimerHeap::reset() noexcept {
  lock_.reset();
  tree_.clear();
  publish_next();
}

}  // namespace vt
