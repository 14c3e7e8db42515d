// The wait table: an address-keyed queue on which everything in user space waits, virtual and platform threads alike.
// Layer: core. Lock rank: kBucket.
//
// The protocol, for every primitive: under the bucket's lock a waiter looks at the object's word once more, marks in it that
// somebody waits, and queues its node; then it lets the lock go and parks. Who releases changes the word, sees the mark, takes the
// lock and dequeues. So a release either comes before the second look, or finds the node. FIFO per key.
//
// A node is on its waiter's stack. Whoever dequeues it (a waker, its timer) owes its owner exactly one wake(), and touches
// the node for the last time in it.
#pragma once

#include <stdint.h>

#include <atomic>

#include "base/spin_lock.h"
#include "core/main_thread.h"
#include "core/self.h"
#include "core/timer_heap.h"
#include "core/vthread.h"
#include "sys/clock.h"

namespace vt {

//   kInterrupted  the call ends: cancelled, or a handler ran that ends it
//   kAgain        a handler ran that doesn't, and the node has lost its place: the wait begins anew
enum class WaitResult : uint32_t { kQueued, kWoken, kTimedOut, kInterrupted, kAgain };

struct WaitNode {
  WaitNode(Self* s, ParkReason what) noexcept : owner(s), parks(self_parks(s)), kind(what) {}
  WaitNode(const WaitNode&) = delete;
  WaitNode& operator=(const WaitNode&) = delete;

  Self* owner;
  bool parks;                                      // else it sleeps on `woken`, in the kernel
  /// What kind of object `key` is the address of. A release may come late, when the address is something else's: it takes only
  /// nodes of its own kind. Changes with `key`.
  std::atomic<ParkReason> kind;
  std::atomic<uint32_t>* counter = nullptr;        // the object counts its queued nodes there: less one by whoever dequeues this one
  WaitNode* next = nullptr;
  WaitNode* prev = nullptr;
  std::atomic<const void*> key{nullptr};           // changes only under the locks of both buckets (requeue)
  std::atomic<WaitResult> result{WaitResult::kWoken};  // kQueued while in a bucket; under its lock
  std::atomic<uint32_t> woken{0};                  // platform threads: futex
  void* aux = nullptr;                             // the primitive's
  uint32_t tag = 0;                                // the primitive's
  bool starved = false;
  bool granted = false;                            // what it waits for is its own already
  bool cancellable = false;                        // pthread_cancel(3) ends the wait: kInterrupted
  bool keeps_place = false;                        // signals wait for its end
  Timer timer;
};

class Bucket {
 public:
  constexpr Bucket() noexcept = default;
  SpinLock lock{Rank::kBucket};

  void push_back(WaitNode* n, const void* key) noexcept {
    n->key.store(key, std::memory_order_relaxed);
    if (n->parks) static_cast<VThread*>(n->owner)->wait_key.store(key, std::memory_order_relaxed);
    n->result.store(WaitResult::kQueued, std::memory_order_relaxed);
    n->next = nullptr;
    n->prev = tail_;
    (tail_ ? tail_->next : head_) = n;
    tail_ = n;
  }
  /// The node's wait is over with `result`: the caller owes it a wake().
  void remove(WaitNode* n, WaitResult result) noexcept {
    unlink(n);
    if (n->counter) n->counter->fetch_sub(1, std::memory_order_relaxed);
    n->result.store(result, std::memory_order_relaxed);
  }
  void unlink(WaitNode* n) noexcept {
    (n->prev ? n->prev->next : head_) = n->next;
    (n->next ? n->next->prev : tail_) = n->prev;
    n->next = n->prev = nullptr;
  }
  WaitNode* first(const void* key, ParkReason kind) const noexcept { return match(head_, key, kind); }
  WaitNode* following(const WaitNode* n) const noexcept { return match(n->next, n->key.load(std::memory_order_relaxed), n->kind.load(std::memory_order_relaxed)); }
  /// `owner`'s node, null if it has none here.
  WaitNode* of(const Self* owner) const noexcept {
    WaitNode* n = head_;
    while (n && n->owner != owner) n = n->next;
    return n;
  }
  void reset() noexcept {
    lock.reset();
    head_ = tail_ = nullptr;
  }

 private:
  static WaitNode* match(WaitNode* n, const void* key, ParkReason kind) noexcept {
    while (n && (n->key.load(std::memory_order_relaxed) != key || n->kind.load(std::memory_order_relaxed) != kind)) n = n->next;
    return n;
  }
  WaitNode* head_ = nullptr;
  WaitNode* tail_ = nullptr;
};

Bucket& bucket_of(const void* key) noexcept;

/// Waits until the caller's queued node is dequeued and woken, or `deadline` (on `clock`; null: for ever) has passed, or
/// a signal handler ran on a platform thread, or main, such that `interrupt` says it ends the call. Not under a lock. @parks
WaitResult wait_on(WaitNode& node, clockid_t clock, const timespec* deadline,
                   Interrupt interrupt = Interrupt::kNever) noexcept;

/// Takes the node out of its queue if it's still there: the caller then owes the wake. False: somebody else has.
bool take_out(WaitNode* node, WaitResult result) noexcept;

/// Wakes the owner of a dequeued node; not under the bucket's lock where that can be helped. Last touch of the node.
void wake(WaitNode* node, Carrier* here) noexcept;

/// Dequeues and wakes up to `count` waiters on `key`; how many. The simple primitives' release. @thread any
int wake_all(const void* key, ParkReason kind, int count, Carrier* here) noexcept;

/// In a forked child: nobody waits any more.
void wait_table_after_fork() noexcept;

}  // namespace vt
