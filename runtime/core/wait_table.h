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
  WaitNode* next = nullptr;                        // behind it in its queue; once it's dequeued, whoever dequeued it links what it will wake
  WaitNode* prev = nullptr;                        // before it; of the first in a queue, the last
  WaitNode* next_queue = nullptr;                  // of the first in a queue: the bucket's other queues
  WaitNode* prev_queue = nullptr;
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

/// The queues of all keys that fall into it: a list of them by their first nodes, so that what a wake-up costs depends neither on how many
/// wait for the same key nor on how many wait for others.
class Bucket {
 public:
  constexpr Bucket() noexcept = default;
  SpinLock lock{Rank::kBucket};

  void push_back(WaitNode* n, const void* key) noexcept {
    n->key.store(key, std::memory_order_relaxed);
    n->result.store(WaitResult::kQueued, std::memory_order_relaxed);
    n->next = nullptr;
    if (WaitNode* f = first(key, n->kind.load(std::memory_order_relaxed))) {
      n->prev = f->prev;
      f->prev = f->prev->next = n;
    } else {
      n->prev = n;
      n->prev_queue = nullptr;
      n->next_queue = queues_;
      if (queues_) queues_->prev_queue = n;
      queues_ = n;
    }
    if (!n->parks) return;
    auto* v = static_cast<VThread*>(n->owner);
    v->wait_key.store(key, std::memory_order_relaxed);
    v->wait_node.store(n, std::memory_order_release);  // pairs with [wait-node]
  }
  /// The node's wait is over with `result`: the caller owes it a wake().
  void remove(WaitNode* n, WaitResult result) noexcept {
    unlink(n);
    if (n->counter) n->counter->fetch_sub(1, std::memory_order_relaxed);
    n->result.store(result, std::memory_order_relaxed);
  }
  void unlink(WaitNode* n) noexcept {
    if (n->parks) static_cast<VThread*>(n->owner)->wait_node.store(nullptr, std::memory_order_relaxed);
    WaitNode* after = n->next;
    if (n->prev->next) {  // not the first
      (after ? after : first(n->key.load(std::memory_order_relaxed), n->kind.load(std::memory_order_relaxed)))->prev = n->prev;
      n->prev->next = after;
    } else {
      if (after) {
        after->prev = n->prev;
        after->prev_queue = n->prev_queue;
        after->next_queue = n->next_queue;
      }
      (n->prev_queue ? n->prev_queue->next_queue : queues_) = after ? after : n->next_queue;
      if (n->next_queue) n->next_queue->prev_queue = after ? after : n->prev_queue;
    }
    n->next = n->prev = nullptr;
  }
  WaitNode* first(const void* key, ParkReason kind) const noexcept {
    WaitNode* n = queues_;
    while (n && (n->key.load(std::memory_order_relaxed) != key || n->kind.load(std::memory_order_relaxed) != kind)) n = n->next_queue;
    return n;
  }
  WaitNode* following(const WaitNode* n) const noexcept { return n->next; }
  /// The node of `v`, which waits for `key`, one of this bucket's; null if it has left the queue. In another bucket's queue meanwhile, its
  /// key is another one, and is seen before the node is touched.
  WaitNode* of(const VThread* v, const void* key) const noexcept {
    WaitNode* n = v->wait_node.load(std::memory_order_acquire);  // [wait-node]
    return v->wait_key.load(std::memory_order_relaxed) == key ? n : nullptr;
  }
  void reset() noexcept {
    lock.reset();
    queues_ = nullptr;
  }

 private:
  WaitNode* queues_ = nullptr;
};

Bucket& bucket_of(const void* key) noexcept;

/// Waits until the caller's queued node is dequeued and woken, or `deadline` (on `clock`; null: for ever) has passed, or
/// a signal handler ran on a platform thread, or main, such that `interrupt` says it ends the call. Not under a lock. @parks
WaitResult wait_on(WaitNode& node, clockid_t clock, const timespec* deadline,
                   Interrupt interrupt = Interrupt::kNever) noexcept;

/// A wait that nobody ends but the deadline, a signal's handler, or a cancellation. @parks
WaitResult wait_alone(ParkReason reason, clockid_t clock, const timespec* deadline) noexcept;

/// Takes the node out of its queue if it's still there: the caller then owes the wake. False: somebody else has.
bool take_out(WaitNode* node, WaitResult result) noexcept;

/// Wakes the owner of a dequeued node; not under the bucket's lock where that can be helped. Last touch of the node.
void wake(WaitNode* node, Carrier* here) noexcept;

/// Dequeues and wakes up to `count` waiters on `key`; how many. The simple primitives' release. @thread any
int wake_all(const void* key, ParkReason kind, int count, Carrier* here) noexcept;

/// In a forked child: nobody waits any more.
void wait_table_after_fork() noexcept;

}  // namespace vt
