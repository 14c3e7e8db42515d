#include "core/cancel.h"

#include <errno.h>

#include "api.h"
#include "core/carrier.h"
#include "core/io_wait.h"
#include "core/main_thread.h"
#include "core/scheduler.h"
#include "core/thread_area.h"
#include "core/thread_signals.h"
#include "core/wait_table.h"

namespace vt {
namespace {

/// In the wait table: the node is found by the key that v published, under its bucket's lock, so that it is there as long as we look.
bool end_table_wait(VThread* v, bool for_signal) noexcept {
  for (;;) {
    const void* key = v->wait_key.load(std::memory_order_seq_cst);
    if (!key) return false;
    WaitNode* n;
    {
      Bucket& b = bucket_of(key);
      LockGuard guard(b.lock);
      n = b.of(v, key);
      if (n && (for_signal ? !n->keeps_place : n->cancellable)) b.remove(n, WaitResult::kInterrupted);
      else n = nullptr;
    }
    if (n) {
      wake(n, carrier_here());
      return true;
    }
    if (v->wait_key.load(std::memory_order_seq_cst) == key) return false;  // else it moved to a mutex's queue, or waits anew
  }
}

/// In a ring: its carrier is asked. If v runs meanwhile it looks itself before its next wait, wherever that is.
void ask_home(VThread* v) noexcept {
  Carrier* home = v->home;
  if (!home || v->request_queued.exchange(true, std::memory_order_seq_cst)) return;
  {
    LockGuard guard(home->mail_lock);
    v->next_request = home->requests;
    __atomic_store_n(&home->requests, v, __ATOMIC_SEQ_CST);  // pairs with the idle protocol
  }
  carrier_wake(home);
}

}  // namespace

bool cancel_end_wait(VThread* v) noexcept {
  if (end_table_wait(v, true)) return true;
  if (!v->io_wait.load(std::memory_order_seq_cst)) return false;
  ask_home(v);
  return true;
}

void cancel_act(VThread* v) {
  if (!v->cancel_async.load(std::memory_order_relaxed) || !cancel_wanted(v)) return;
  v->in_deliver = v->in_masked_call = false;  // its handlers are unwound, too
  v->signal_frames = nullptr;
  pthread_testcancel();
}

void cancel_thread(VThread* v) noexcept {
  if (cancel_held_off(v) || end_table_wait(v, false)) return;
  Carrier* where = v->carrier;
  if (where && where->is_blocking) return carrier_kick(where, Kick::kEndCall);
  ask_home(v);
}

void cancel_attend(Carrier* c) noexcept {
  for (;;) {
    VThread* v;
    {
      LockGuard guard(c->mail_lock);
      v = c->requests;
      if (!v) return;
      __atomic_store_n(&c->requests, v->next_request, __ATOMIC_RELAXED);
    }
    v->request_queued.store(false, std::memory_order_seq_cst);
    if (!cancel_wanted(v) && !signals_wanted(v)) continue;
    // Set and cleared on this OS thread while v's home is this carrier; a wait elsewhere was begun after home had changed.
    IoWait* w = v->io_wait.load(std::memory_order_acquire);
    if (v->home != c) {  // it has moved, or is another thread by now, of whom somebody found the request queued already
      if (signals_wanted(v)) cancel_end_wait(v);
      else cancel_thread(v);
    } else if (w && w->home == c) {
      w->interrupted = true;
      if (!w->cancelled) w->cancel_rest();
    }
  }
}

// ---------------------------------------------------------------- api.h

int thread_cancel(pthread_t thread) noexcept {
  VThread* v = thread_of(thread);
  RuntimeSection section;
  thread_area_set_cancelled(v->tp);
  v->cancel_requested.store(true, std::memory_order_seq_cst);
  if (v == current()) return 0;
  // seq_cst: v stores its type, or that it's enabled, then looks whether it's cancelled
  if (v->cancel_async.load(std::memory_order_seq_cst) && !v->is_main) signals_send_cancel(v);
  else cancel_thread(v);
  return 0;
}

int thread_cancel_state(int state, int* old) noexcept {
  if (state != PTHREAD_CANCEL_ENABLE && state != PTHREAD_CANCEL_DISABLE) return -EINVAL;
  bool before = current()->cancel_disabled.exchange(state == PTHREAD_CANCEL_DISABLE, std::memory_order_seq_cst);
  if (old) *old = before ? PTHREAD_CANCEL_DISABLE : PTHREAD_CANCEL_ENABLE;
  return 0;
}

int thread_cancel_type(int type, int* old) noexcept {
  if (type != PTHREAD_CANCEL_DEFERRED && type != PTHREAD_CANCEL_ASYNCHRONOUS) return -EINVAL;
  bool before = current()->cancel_async.exchange(type == PTHREAD_CANCEL_ASYNCHRONOUS, std::memory_order_seq_cst);
  if (old) *old = before ? PTHREAD_CANCEL_ASYNCHRONOUS : PTHREAD_CANCEL_DEFERRED;
  return 0;
}

bool thread_is_async() noexcept {
  VThread* v = current();
  return v && v->cancel_async.load(std::memory_order_relaxed);
}

void cancel_shield(bool on) noexcept {
  if (VThread* v = current()) v->cancel_shielded = on;
}

bool thread_wants_cancel() noexcept {
  VThread* v = current();
  return v && cancel_wanted(v);
}

namespace {
/// None: main, when the runtime has stopped meanwhile.
uint32_t handlers_of(const VThread* v) noexcept { return v && !v->is_main ? v->handlers_run : handlers_counted(); }
}  // namespace

uint32_t handlers_before_call() noexcept {
  VThread* v = current();
  main_call_begins(v);
  return handlers_of(v);
}

bool thread_was_interrupted(uint32_t handlers, bool cancel_point) noexcept {
  VThread* v = current();
  if (handlers_of(v) != handlers) return true;
  if (!v) return false;
  if (v->is_main && static_cast<MainThread*>(v)->handlers_ran) return true;
  return (cancel_point && cancel_wanted(v)) || signals_wanted(v);
}

}  // namespace vt
