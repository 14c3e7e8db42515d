// A carrier's queue of runnable virtual threads: FIFO, its own lock, open to thieves; before it a slot for the thread that the running
// one woke last, whose data is in the cache. Two threads that wake each other would live in the slot for ever: after kSlotRuns
// from the slot in a row the queue's head comes first. Layer: core. Lock rank: kRunQueue.
#pragma once

#include "base/spin_lock.h"
#include "core/vthread.h"

namespace vt {

class RunQueue {
 public:
  static constexpr uint32_t kNotMain = ~0u;
  /// How many wait now. A hint; the order against idling is argued in carrier.cpp. seq_cst: pairs with Carrier::idle
  uint32_t size() const noexcept { return size_.load(std::memory_order_seq_cst); }

  void push(VThread* v) noexcept {
    LockGuard guard(lock_);
    append(v);
    size_.store(size_.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst);
  }
  /// Into the slot; who was there goes to the end of the queue. @thread the owner's running thread
  void push_woken(VThread* v) noexcept {
    LockGuard guard(lock_);
    if (slot_) append(slot_);
    slot_ = v;
    size_.store(size_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);  // the owner, who isn't idle, is here itself
  }
  VThread* pop() noexcept {
    if (size_.load(std::memory_order_relaxed) == 0) return nullptr;  // only the owner pops to empty, or thieves: a hint is enough
    LockGuard guard(lock_);
    return take();
  }
  /// One, from the head. For thieves that expect little. `main_tick`: the thief is main's carrier, for which nobody is who was sent off it till after that tick.
  uint32_t steal_one_into(RunQueue& thief, uint32_t main_tick = kNotMain) noexcept { return move_to(thief, [](uint32_t) { return 1u; }, main_tick); }
  /// The first that can run nowhere else, for a carrier that is reserved.
  VThread* pop_staying() noexcept {
    if (size_.load(std::memory_order_relaxed) == 0) return nullptr;
    LockGuard guard(lock_);
    if (slot_ && slot_->stays()) return take_slot();
    VThread* before = nullptr;
    for (VThread* v = head_; v; before = v, v = v->next_run) {
      if (!v->stays()) continue;
      (before ? before->next_run : head_) = v->next_run;
      if (tail_ == v) tail_ = before;
      size_.store(size_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
      return v;
    }
    return nullptr;
  }
  /// Half of the queue, one at least, goes to `thief`'s. Returns how many. Pinned threads and main stay.
  uint32_t steal_into(RunQueue& thief, uint32_t main_tick = kNotMain) noexcept { return move_to(thief, [](uint32_t n) { return (n + 1) / 2; }, main_tick); }
  /// All but pinned threads and main go to `other`. Returns how many.
  uint32_t move_all_to(RunQueue& other, uint32_t main_tick = kNotMain) noexcept { return move_to(other, [](uint32_t n) { return n; }, main_tick); }
  /// When the thread that waits longest came, on the monitor's clock; kForever if none waits.
  uint64_t waits_since() noexcept {
    LockGuard guard(lock_);
    const VThread* v = head_ ? head_ : slot_;
    return v ? v->since.load(std::memory_order_relaxed) : sys::kForever;
  }
  void reset() noexcept {
    lock_.reset();
    head_ = tail_ = slot_ = nullptr;
    size_.store(0, std::memory_order_relaxed);
  }

 private:
  template <class Share>
  uint32_t move_to(RunQueue& other, Share share, uint32_t main_tick = kNotMain) noexcept {
    VThread* moved = nullptr;
    VThread** end = &moved;
    uint32_t count = 0;
    {
      LockGuard guard(lock_);
      // Who stays isn't touched: the size must not fall even for a moment below what is left, or the owner goes to sleep on it.
      uint32_t size = size_.load(std::memory_order_relaxed), want = share(size);
      if (slot_ && (want == size || !head_)) {
        append(slot_);
        slot_ = nullptr;
      }
      VThread* last = nullptr;
      for (VThread** at = &head_; *at && count < want;) {
        VThread* v = *at;
        if (v->stays() || v->off_main_until > main_tick) {
          last = v;
          at = &v->next_run;
          continue;
        }
        *at = v->next_run;
        if (tail_ == v) tail_ = last;
        v->next_run = nullptr;
        *end = v;
        end = &v->next_run;
        ++count;
      }
      size_.store(size - count, std::memory_order_relaxed);
    }
    while (moved) {
      VThread* v = moved;
      moved = v->next_run;
      other.push(v);
    }
    return count;
  }

  void append(VThread* v) noexcept {
    v->next_run = nullptr;
    (tail_ ? tail_->next_run : head_) = v;
    tail_ = v;
  }
  VThread* take() noexcept {
    if (slot_ && (slot_runs_ < kSlotRuns || !head_)) {
      ++slot_runs_;
      return take_slot();
    }
    slot_runs_ = 0;
    VThread* v = head_;
    if (!v) return nullptr;
    head_ = v->next_run;
    if (head_) fetch_ahead(head_);
    else tail_ = nullptr;
    size_.store(size_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
    return v;
  }
  /// Among a thousand threads all of one's lines, and its pages' addresses, have left the caches by its next turn. So the second next's
  /// come while this one runs; what those lead to, a turn later. (Inlined: as a call GCC takes it for one without effect.)
  [[gnu::always_inline]] static void fetch_ahead(const VThread* next) noexcept {
    __builtin_prefetch(next->context);
    __builtin_prefetch((char*)next->context + 64);
    __builtin_prefetch(next->tp);
    auto* second = (const char*)next->next_run;
    if (!second) return;
    __builtin_prefetch(second);
    __builtin_prefetch(second + 2 * 64);
    __builtin_prefetch(second + 3 * 64);
  }
  VThread* take_slot() noexcept {
    VThread* v = slot_;
    slot_ = nullptr;
    size_.store(size_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
    return v;
  }

  static constexpr uint32_t kSlotRuns = 16;
  SpinLock lock_{Rank::kRunQueue};
  VThread* head_ = nullptr;
  VThread* tail_ = nullptr;
  VThread* slot_ = nullptr;
  uint32_t slot_runs_ = 0;  // taken from the slot in a row
  std::atomic<uint32_t> size_{0};
};

}  // namespace vt
