// Robust, priority-inheriting and priority-protecting mutexes are libc's and the kernel's, and both know their owner by an OS thread: its number
// is in the mutex's word, the kernel lends it priority, takes the word from nobody else (FUTEX_UNLOCK_PI), and at its end, or the
// process's, goes through the list of robust mutexes that is registered for it. So a virtual thread that holds one is pinned; in libc's
// calls on them it bears its OS thread's number; and its own list is the one that the kernel has for that OS thread.
//
// An OS thread keeps the list of who was pinned last: its entries name other owners by then, so it does no harm; units stay for ever.
// Layer: sync.
#include "sync/foreign.h"

#include <errno.h>
#include <limits.h>

#include "api.h"
#include "core/pin.h"
#include "core/scheduler.h"
#include "core/slot.h"
#include "core/thread_area.h"
#include "sys/futex.h"

namespace vt {
namespace {

/// struct robust_list_head of <linux/futex.h>: links have bit 0 set for priority-inheriting mutexes.
struct RobustList {
  uintptr_t first;
  long word_offset;
  uintptr_t pending;
};
constexpr int kLongest = 2048;  // the kernel's ROBUST_LIST_LIMIT

/// The mutex of `entry`, if it's v's, is a dead owner's: who locks it next learns of that.
void declare_dead(VThread* v, uintptr_t entry, long word_offset) noexcept {
  auto* word = (std::atomic<uint32_t>*)((entry & ~1ul) + (uintptr_t)word_offset);
  uint32_t seen = word->load(std::memory_order_relaxed);
  for (;;) {
    if ((pid_t)(seen & FUTEX_TID_MASK) != v->carrier->os_tid) return;
    if ((entry & 1) && (seen & FUTEX_WAITERS)) {
      // The kernel's: it gives it to one of them when the OS thread ends, or, if they have all been cancelled, finds it in that thread's list: its
      // own, since v's place may be another's by then.
      v->spoils = true;
      auto* own = (RobustList*)thread_area_robust_list(v->carrier->own_tp);
      *(uintptr_t*)(entry & ~1ul) = own->first;
      own->first = entry;
      if (sys::raw(SYS_set_robust_list, own, sizeof *own) == 0) v->carrier->robust_list = own;
      return;
    }
    if (word->compare_exchange_weak(seen, (seen & FUTEX_WAITERS) | FUTEX_OWNER_DIED, std::memory_order_seq_cst)) break;
  }
  if (seen & FUTEX_WAITERS) sys::raw(SYS_futex, word, FUTEX_WAKE, 1);
}

/// Main has its list and number wherever its contents are; on a slot it need not keep others off for that, nor can it.
bool needs_pin() noexcept {
  VThread* v = current();
  return v && !(swaps && v->is_main);
}

}  // namespace

int foreign_begin() noexcept {
  if (!needs_pin()) return 0;
  if (int r = pin_always(); r < 0) return r;
  VThread* v = current();
  if (v->is_main) return 0;  // its OS thread is its own, so its number and its list are
  RuntimeSection section;
  Carrier* c = v->carrier;
  void* list = thread_area_robust_list(v->tp);
  if (c->robust_list != list && sys::raw(SYS_set_robust_list, list, sizeof(RobustList)) == 0) c->robust_list = list;
  thread_area_set_tid(v->tp, c->os_tid);
  return 0;
}

void foreign_end(bool keeps) noexcept {
  VThread* v = current();
  if (!v) return;
  if (!v->is_main) thread_area_set_tid(v->tp, v->id.load(std::memory_order_relaxed));
  if (!keeps && needs_pin()) unpin_always();
}

void foreign_let_go() noexcept {
  if (needs_pin()) unpin_always();
}

void foreign_thread_ends(VThread* v) noexcept {
  thread_area_set_tid(v->tp, v->id.load(std::memory_order_relaxed));  // cancelled in such a call
  if (!v->exclusive) return;
  auto* list = (RobustList*)thread_area_robust_list(v->tp);
  uintptr_t entry = list->first;
  for (int i = 0; i < kLongest && (entry & ~1ul) != (uintptr_t)list; ++i) {
    uintptr_t following = *(uintptr_t*)(entry & ~1ul);  // a woken heir may change it
    declare_dead(v, entry, list->word_offset);
    entry = following;
  }
  // Cancelled asynchronously between the lock and its entry in the list, or the other way round.
  if (list->pending) declare_dead(v, list->pending, list->word_offset);
  list->pending = 0;
}

}  // namespace vt
