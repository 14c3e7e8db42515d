// A virtual futex(2) on private memory, and sleeping. Layer: sync.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "base/config.h"
#include "core/cancel.h"
#include "core/scheduler.h"
#include "core/wait_table.h"
#include "sys/raw.h"

namespace vt {

// A node's tag holds the bits of FUTEX_WAIT_BITSET.

int futex_wait(const uint32_t* word, uint32_t expected, clockid_t clock, const timespec* deadline, uint32_t bits) noexcept {
  if (deadline && !sys::valid(*deadline)) return -EINVAL;
  if (config.chaos) chaos_yield();
  main_call_begins(current());
  RuntimeSection section;
  WaitNode node(section.self_ptr(), ParkReason::kFutex);
  node.tag = bits;
  Bucket& b = bucket_of(word);
again:
  {
    LockGuard guard(b.lock);
    // seq_cst: a waker stores the word, then takes this lock
    if (__atomic_load_n(word, __ATOMIC_SEQ_CST) != expected) return -EAGAIN;
    b.push_back(&node, word);
  }
  switch (wait_on(node, clock, deadline, deadline ? Interrupt::kAlways : Interrupt::kUnlessRestart)) {
    case WaitResult::kTimedOut: return -ETIMEDOUT;
    case WaitResult::kInterrupted: return -EINTR;
    case WaitResult::kAgain:
      if (node.parks && cancel_unwinds(static_cast<VThread*>(node.owner))) return -EINTR;  // to nobody: the section's end unwinds
      goto again;
    default: return 0;
  }
}

namespace {

/// Dequeued nodes, to be woken after the lock.
struct Woken {
  WaitNode* first = nullptr;
  WaitNode** end = &first;
  int count = 0;

  /// Under `b`'s lock: up to `most` waiters on `word` for one of `bits`.
  void take(Bucket& b, const uint32_t* word, int most, uint32_t bits) noexcept {
    for (WaitNode* n = b.first(word, ParkReason::kFutex); n && count < most;) {
      WaitNode* following = b.following(n);
      if (n->tag & bits) {
        b.remove(n, WaitResult::kWoken);
        *end = n;
        end = &n->next;
        ++count;
      }
      n = following;
    }
    *end = nullptr;
  }
  void wake_them() noexcept {
    while (WaitNode* n = first) {
      first = n->next;
      wake(n, carrier_here());
    }
  }
};

/// Both, whichever is the first: the second is only tried.
void lock_both(Bucket& a, Bucket& b) noexcept {
  for (;;) {
    a.lock.lock();
    if (&a == &b || b.lock.try_lock()) return;
    a.lock.unlock();
    __builtin_ia32_pause();
  }
}

}  // namespace

int futex_wake(const uint32_t* word, int count, uint32_t bits) noexcept {
  Self* me = self();
  if (me->depth) {  // a signal handler on top of the runtime: the section that it interrupted wakes them, all of them
    void* what = (void*)((uintptr_t)word | 1);
    if (me->has_deferred(what)) return 0;
    VT_CHECK(me->deferred_count < Self::kMaxDeferred);
    me->deferred[me->deferred_count] = what;
    me->deferred_count = (uint8_t)(me->deferred_count + 1);
    return 0;
  }
  RuntimeSection section;
  Woken list;
  Bucket& b = bucket_of(word);
  {
    LockGuard guard(b.lock);
    list.take(b, word, count, bits);
  }
  int n = list.count;
  list.wake_them();
  return n;
}

int futex_requeue(const uint32_t* from, int wakes, const uint32_t* to, int moves, const uint32_t* expected, int* moved) noexcept {
  RuntimeSection section;
  Woken list;
  Bucket &a = bucket_of(from), &b = bucket_of(to);
  *moved = 0;
  lock_both(a, b);
  bool as_expected = !expected || __atomic_load_n(from, __ATOMIC_SEQ_CST) == *expected;
  if (as_expected) {
    list.take(a, from, wakes, ~0u);
    for (WaitNode* n = from == to ? nullptr : a.first(from, ParkReason::kFutex); n && *moved < moves; ++*moved) {
      WaitNode* following = a.following(n);
      a.unlink(n);
      b.push_back(n, to);
      n = following;
    }
  }
  if (&a != &b) b.lock.unlock();
  a.lock.unlock();
  int n = list.count;
  list.wake_them();
  return as_expected ? n : -EAGAIN;
}

int sleep_until(clockid_t clock, const timespec& deadline, bool in_call) noexcept {
  if (!sys::valid(deadline)) return -EINVAL;
  if (!in_call) main_call_begins(current());
  do {
    if (wait_alone(ParkReason::kSleep, clock, &deadline) == WaitResult::kInterrupted) return -EINTR;
  } while (sys::now_on(clock) < sys::to_ns(deadline));  // a clock that was set back
  return 0;
}

namespace {

/// <linux/fs.h> of 6.11: which mapping is at an address.
struct MapQuery {
  uint64_t size, query_flags, query_address, start, end, flags, page_size, offset, inode;
  uint32_t device[2], name_size, build_id_size;
  uint64_t name, build_id;
};
constexpr unsigned long kQuery = 0xc0686611;  // PROCMAP_QUERY
constexpr uint64_t kWritable = 2, kShared = 8;
static_assert(sizeof(MapQuery) == 0x68);

/// Without that query: the lines of /proc/self/maps, "start-end perm ...", perm[3] being 's' or 'p'.
bool own_in_text(int fd, uintptr_t address) noexcept {
  char text[2048];
  size_t kept = 0;
  for (long n; (n = sys::raw(SYS_read, fd, text + kept, sizeof text - kept)) > 0;) {
    char *line = text, *end = text + kept + n;
    for (char* next; (next = (char*)memchr(line, '\n', (size_t)(end - line))); line = next + 1) {
      char* p;
      uintptr_t low = strtoul(line, &p, 16), high = strtoul(p + 1, &p, 16);
      if (address >= low && address < high) return p[2] == 'w' && p[4] == 'p';
    }
    if (line == text) line = end;  // a name that is longer than that
    memmove(text, line, kept = (size_t)(end - line));
  }
  return false;
}

}  // namespace

bool is_own_memory(const void* p) noexcept {
  long fd = sys::raw(SYS_open, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  MapQuery q{};
  q.size = sizeof q;
  q.query_address = (uint64_t)p;
  bool answered = sys::raw(SYS_ioctl, fd, kQuery, &q) == 0;
  bool own = answered ? (q.flags & (kWritable | kShared)) == kWritable : own_in_text((int)fd, (uintptr_t)p);
  sys::raw(SYS_close, fd);
  return own;
}

}  // namespace vt
