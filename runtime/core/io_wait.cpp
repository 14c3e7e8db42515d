#include "core/io_wait.h"

#include "core/cancel.h"
#include "core/main_thread.h"
#include "core/registry.h"
#include "core/scheduler.h"
#include "core/thread_signals.h"

namespace vt {
namespace {

IoWait* wait_of(Timer* t) noexcept { return (IoWait*)((char*)t - __builtin_offsetof(IoWait, timer)); }

void unmail(IoWait* w) noexcept {
  LockGuard guard(w->home->mail_lock);
  if (!w->mailed) return;
  for (IoWait** p = &w->home->mail; *p; p = &(*p)->next_mail)
    if (*p == w) {
      __atomic_store_n(p, w->next_mail, __ATOMIC_RELAXED);
      break;
    }
  w->mailed = false;
}

void on_complete(IoOp* op, int result, Carrier* here) noexcept {
  auto* e = static_cast<IoEntry*>(op);
  IoWait* w = e->wait;
  e->result = result;
  e->pending = false;
  if (--w->pending == 0) {
    w->owner->io_wait.store(nullptr, std::memory_order_relaxed);
    unpark(w->owner, here);  // who looks for mail itself, when no timer can send any more
  } else if (!w->cancelled) {
    w->cancel_rest();
  }
}

/// Under the heap's lock. Fired by the owner of the ring, it cancels; by the monitor, it leaves word.
void on_deadline(Timer* t, Carrier* here) noexcept {
  IoWait* w = wait_of(t);
  w->timed_out = true;
  if (here == w->home) return w->cancel_rest();
  {
    LockGuard guard(w->home->mail_lock);
    w->next_mail = w->home->mail;
    __atomic_store_n(&w->home->mail, w, __ATOMIC_SEQ_CST);  // pairs with the idle protocol
    w->mailed = true;
  }
  carrier_wake(w->home);
}

}  // namespace

io_uring_sqe* IoWait::submit(uint32_t index) noexcept {
  IoEntry& e = entries[index];
  e.complete = on_complete;
  e.wait = this;
  return home->reactor.sqe();
}

void IoWait::track(io_uring_sqe* sqe, uint32_t index) noexcept {
  entries[index].pending = true;
  ++pending;
  if (waited < 4) fds[waited] = sqe->fd;
  ++waited;
  home->reactor.track(sqe, &entries[index]);
}

void IoWait::cancel_rest() noexcept {
  cancelled = true;
  for (uint32_t i = 0; i < count; ++i)
    if (entries[i].pending) home->reactor.cancel(&entries[i]);
}

void IoWait::finish(ParkReason reason, uint64_t deadline, bool always) noexcept {
  if (!pending) return;
  has_deadline = deadline != sys::kForever;
  owner->io_wait.store(this, std::memory_order_seq_cst);  // before the look below; pairs with cancel_thread()
  if (cancel_wanted(owner) || signals_wanted(owner) || masked_call_ended(owner)) interrupted = true, cancel_rest();
  MainThread* m = owner->is_main ? static_cast<MainThread*>(owner) : nullptr;
  if (m) {
    m->interrupt = always || deadline != sys::kForever ? Interrupt::kAlways : Interrupt::kUnlessRestart;
    m->waits_for = this;
    std::atomic_signal_fence(std::memory_order_seq_cst);  // as park_main(), wait_table.cpp
    if (!cancelled && main_is_interrupted(m, m->interrupt)) interrupted = true, cancel_rest();
  }
  if (deadline != sys::kForever) {
    timer.deadline = deadline;
    timer.fire = on_deadline;
    home->timers.arm(&timer);
  }
  owner->note.on_descriptors(reason, fds, waited, deadline);
  park(reason);
  if (m) m->waits_for = nullptr;
  if (deadline != sys::kForever) {
    TimerHeap::disarm(&timer);
    if (timed_out) unmail(this);
  }
  if (__builtin_expect(!interrupted || cancel_wanted(owner), 1)) return;
  if (m && !signals_wanted(m)) return;
  if (owner->signals_pending.load(std::memory_order_relaxed) & owner->signals_awaited.load(std::memory_order_relaxed)) return;
  interrupted = signals_end_wait(owner, always || has_deadline ? Interrupt::kAlways : Interrupt::kUnlessRestart);
}

void io_waits_move(Carrier* c) noexcept {
  // The kernel's own "cancel all" goes through its table from the start for each operation: 10,000 take 10 s and more. One by one, each is found by its address.
  constexpr uint32_t kFew = 256, kAtOnce = 1024, kSlotsAtOnce = 1 << 16;
  if (c->reactor.in_flight() <= kFew) return c->reactor.cancel_all();
  uint32_t found = 0;
  auto look_at = [&](VThread* v) {
    // In this order: its carrier is this one only if that mounted it last, which it can't do meanwhile; so the wait is in this ring, and nobody else ends it.
    IoWait* w = v->io_wait.load(std::memory_order_acquire);  // pairs with finish()
    if (!w || __atomic_load_n(&v->carrier, __ATOMIC_ACQUIRE) != c) return;
    for (uint32_t i = 0; i < w->count; ++i)
      if (w->entries[i].pending) c->reactor.cancel(&w->entries[i]), ++found;
  };
  if (MainThread* m = main_thread()) look_at(m);
  for (uint32_t looks = 0, n = registry_count(); looks < n && looks < kSlotsAtOnce && found < kAtOnce; ++looks, ++c->move_from) {
    if (c->move_from >= n) c->move_from = 0;
    if (VThread* v = registry_at(c->move_from)) look_at(v);
  }
}

void cancel_mailed(Carrier* c) noexcept {
  // Under the lock to the end: the owner of a wait takes it back under it, and only then may return from the wait.
  LockGuard guard(c->mail_lock);
  while (IoWait* w = c->mail) {
    __atomic_store_n(&c->mail, w->next_mail, __ATOMIC_RELAXED);
    w->mailed = false;
    w->cancel_rest();
  }
}

}  // namespace vt
