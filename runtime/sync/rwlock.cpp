// Read-write locks in the memory of glibc's (its kind in __flags, its shared flag in __shared, the writer in __cur_writer).
// Layer: sync.
//
//   __readers       meaning
//   bit 31          a writer holds it
//   bit 30          nodes are queued: fast paths that would pass them by or forget them are closed
//   low bits        how many readers hold it
// All grants to waiters are hand-overs made under the bucket's lock.
#include <errno.h>

#include "api.h"
#include "base/config.h"
#include "core/cancel.h"
#include "core/scheduler.h"
#include "core/thread_area.h"
#include "core/wait_table.h"
#include "sys/fs_base.h"

namespace vt {
namespace {

constexpr uint32_t kWriter = 1u << 31, kQueued = 1u << 30, kReaders = kQueued - 1;
constexpr uint32_t kWantsRead = 0, kWantsWrite = 1;

std::atomic<uint32_t>& word(pthread_rwlock_t* l) noexcept { return *reinterpret_cast<std::atomic<uint32_t>*>(&l->__data.__readers); }

/// Whose it is; others look only to see that it isn't theirs.
int writer(pthread_rwlock_t* l) noexcept { return __atomic_load_n(&l->__data.__cur_writer, __ATOMIC_RELAXED); }
void set_writer(pthread_rwlock_t* l, int tid) noexcept { __atomic_store_n(&l->__data.__cur_writer, tid, __ATOMIC_RELAXED); }

bool prefers_writers(const pthread_rwlock_t* l) noexcept { return l->__data.__flags == PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP; }

/// May a reader enter a lock in state s? By default readers pass waiting writers, as in glibc.
bool reader_may(const pthread_rwlock_t* l, uint32_t s) noexcept {
  return !(s & kWriter) && !((s & kQueued) && prefers_writers(l));
}

bool try_read(pthread_rwlock_t* l) noexcept {
  uint32_t s = word(l).load(std::memory_order_relaxed);
  while (reader_may(l, s))
    if (word(l).compare_exchange_weak(s, s + 1, std::memory_order_acquire, std::memory_order_relaxed)) return true;
  return false;
}
bool try_write(pthread_rwlock_t* l) noexcept {
  uint32_t s = word(l).load(std::memory_order_relaxed);
  while (!(s & (kWriter | kReaders)))
    if (word(l).compare_exchange_weak(s, s | kWriter, std::memory_order_acquire, std::memory_order_relaxed)) {
      set_writer(l, own_tid());
      return true;
    }
  return false;
}

/// Under the bucket's lock: hands a free or read-held lock to those first in line; links them by `next` for waking.
WaitNode* grant(pthread_rwlock_t* l, Bucket& b) noexcept {
  WaitNode* list = nullptr;
  WaitNode** end = &list;
  for (WaitNode* n = b.first(l, ParkReason::kRwlock); n;) {
    WaitNode* following = b.following(n);
    uint32_t s = word(l).load(std::memory_order_relaxed);
    bool write = n->tag == kWantsWrite;
    if (s & kWriter) break;
    if (write && (s & kReaders)) {
      if (prefers_writers(l)) break;  // later readers wait behind this writer
      n = following;
      continue;
    }
    uint32_t wanted = write ? s | kWriter : s + 1;
    if (!word(l).compare_exchange_strong(s, wanted, std::memory_order_acq_rel)) continue;
    n->granted = true;
    b.remove(n, WaitResult::kWoken);
    *end = n;
    end = &n->next;
    if (write) break;
    n = following;
  }
  *end = nullptr;
  if (!b.first(l, ParkReason::kRwlock)) word(l).fetch_and(~kQueued, std::memory_order_relaxed);
  return list;
}

void wake_list(WaitNode* list) noexcept {
  while (list) {
    WaitNode* n = list;
    list = n->next;
    wake(n, carrier_here());
  }
}

int wait(pthread_rwlock_t* l, uint32_t what, clockid_t clock, const timespec* deadline) noexcept {
  RuntimeSection section;
  WaitNode node(section.self_ptr(), ParkReason::kRwlock);
  node.tag = what;
  Bucket& b = bucket_of(l);
again:
  {
    LockGuard guard(b.lock);
    // Second look, then the mark; an unlock between the two fails the mark's exchange.
    for (uint32_t s = word(l).load(std::memory_order_relaxed);;) {
      if (what == kWantsRead ? try_read(l) : try_write(l)) return 0;
      s = word(l).load(std::memory_order_relaxed);
      if (what == kWantsRead ? reader_may(l, s) : !(s & (kWriter | kReaders))) continue;
      if (word(l).compare_exchange_strong(s, s | kQueued, std::memory_order_relaxed)) break;
    }
    b.push_back(&node, l);
  }
  if (WaitResult r = wait_on(node, clock, deadline); r != WaitResult::kWoken) {
    // We may have been the writer that readers waited behind.
    WaitNode* list;
    {
      LockGuard guard(b.lock);
      list = grant(l, b);
    }
    wake_list(list);
    if (r == WaitResult::kAgain && !(node.parks && cancel_unwinds(static_cast<VThread*>(node.owner)))) goto again;
    return -ETIMEDOUT;
  }
  if (what == kWantsWrite) set_writer(l, own_tid());
  return 0;
}

}  // namespace

bool rwlock_is_foreign(const pthread_rwlock_t* l) noexcept { return l->__data.__shared != 0; }

int rwlock_read(pthread_rwlock_t* l, clockid_t clock, const timespec* deadline) noexcept {
  if (deadline && !sys::valid(*deadline)) return -EINVAL;
  if (config.chaos) chaos_yield();
  if (try_read(l)) return 0;
  if (writer(l) == own_tid()) return -EDEADLK;
  return wait(l, kWantsRead, clock, deadline);
}

int rwlock_write(pthread_rwlock_t* l, clockid_t clock, const timespec* deadline) noexcept {
  if (deadline && !sys::valid(*deadline)) return -EINVAL;
  if (config.chaos) chaos_yield();
  if (try_write(l)) return 0;
  if (writer(l) == own_tid()) return -EDEADLK;
  return wait(l, kWantsWrite, clock, deadline);
}

int rwlock_try_read(pthread_rwlock_t* l) noexcept { return try_read(l) ? 0 : -EBUSY; }
int rwlock_try_write(pthread_rwlock_t* l) noexcept { return try_write(l) ? 0 : -EBUSY; }

int rwlock_unlock(pthread_rwlock_t* l) noexcept {
  uint32_t s = word(l).load(std::memory_order_relaxed), left;
  if (s & kWriter) set_writer(l, 0);
  do left = s & kWriter ? s & ~kWriter : s - 1;
  while (!word(l).compare_exchange_weak(s, left, std::memory_order_release, std::memory_order_relaxed));
  if (left != kQueued) return 0;  // nobody waits, or readers still hold it
  RuntimeSection section;
  Bucket& b = bucket_of(l);
  WaitNode* list = nullptr;
  {
    LockGuard guard(b.lock);
    if (b.first(l, ParkReason::kRwlock)) list = grant(l, b);  // else the waiter gave up, and the lock may be gone
  }
  wake_list(list);
  return 0;
}

}  // namespace vt
