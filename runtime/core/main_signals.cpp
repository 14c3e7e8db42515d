#include "core/main_signals.h"

#include <unistd.h>

#include "api.h"
#include "base/log.h"
#include "core/carrier.h"
#include "core/eject.h"
#include "core/scheduler.h"
#include "core/signals.h"
#include "core/slot.h"
#include "core/thread_signals.h"
#include "sys/raw.h"
#include "sys/signal_bits.h"

namespace vt {
namespace {

using sys::bit;

/// What has been passed on: written by handlers on the main OS thread, read by main.
siginfo_t infos[kMostPassed];  // pages that nobody has written to cost nothing
std::atomic<uint32_t> begin{0}, end{0};
volatile bool held = false;      // one has been taken out, and its handler hasn't begun
std::atomic<uint64_t> reset{0};  // of them, those for which the kernel has taken the handler away: SA_RESETHAND

/// Only an OS thread itself may send itself what others have sent.
void send_to_itself(const Carrier* c, int signal, const siginfo_t& info) noexcept {
  sys::raw(SYS_rt_tgsigqueueinfo, getpid(), c->os_tid, signal, &info);
}

}  // namespace

void main_signals_begin() noexcept {
  begin.store(end.load(std::memory_order_relaxed), std::memory_order_relaxed);
  reset.store(0, std::memory_order_relaxed);
  held = false;
}
void main_signals_release() noexcept { held = false; }

bool main_signals_pass(MainThread* m, Carrier* c, int signal, const siginfo_t& info, bool is_reset, bool insists) noexcept {
  // `carrier` leaves us and comes back to us on this OS thread only: between that main runs elsewhere, or is on its
  // way.
  bool away = __atomic_load_n(&m->carrier, __ATOMIC_RELAXED) != c;
  // Back, it takes what came before this; it's at that: about to run here again (`running` isn't main yet), at the end of
  // the section in which it came back, or between two handlers. It doesn't park with any left.
  bool before = m->state.load(std::memory_order_relaxed) != State::kParked &&
                (held || (m->signals_pending.load(std::memory_order_relaxed) & ~m->signal_mask.load(std::memory_order_relaxed)));
  // On top of another thread of its slot a handler could wait for that one for ever. Main's turn comes by itself, so it's run then; but for calls
  // with a mask of their own, which has gone then.
  bool queued = swaps && !away && c->running != m && m->state.load(std::memory_order_relaxed) == State::kRunnable && !m->keeps_handlers && !m->in_masked_call;
  if ((!away && !before && !queued && !insists) || eject_signal() <= 0) return false;
  uint64_t all = ~0ull, saved = 0;
  sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &all, &saved, sizeof all);  // one handler at a time
  uint32_t at = end.load(std::memory_order_relaxed);
  bool room = at - begin.load(std::memory_order_acquire) < kMostPassed;
  if (room) {
    infos[at % kMostPassed] = info;
    infos[at % kMostPassed].si_signo = signal;
    if (is_reset) reset.fetch_or(bit(signal), std::memory_order_relaxed);
    end.store(at + 1, std::memory_order_release);
  }
  sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &saved, nullptr, sizeof saved);
  if (!room) {
    complain("more than %u signals that the main thread has had no time for: %s is lost", kMostPassed,
             SignalName(signal).text());
    return true;
  }
  // As signals_send(): the bit, then where main is; main says where it is, then looks at the bit.
  uint64_t others = m->signals_pending.fetch_or(bit(kPassed), std::memory_order_seq_cst);
  if (!away || (others & bit(kPassed)))
    return true;  // who set it has told main, and main hasn't looked yet: a flood would fill its stack
  signals_barrier();
  if (Carrier* where = __atomic_load_n(&m->carrier, __ATOMIC_ACQUIRE)) eject_for_signals(where);
  return true;
}

void main_signals_look(MainThread* m) noexcept {
  held = true;
  m->signals_pending.fetch_and(~bit(kPassed), std::memory_order_seq_cst);
  for (uint32_t i = begin.load(std::memory_order_relaxed); i != end.load(std::memory_order_acquire);
       begin.store(++i, std::memory_order_release)) {
    const siginfo_t& info = infos[i % kMostPassed];
    if (signals_queue(m, info.si_signo, info)) continue;
    if (m->signals_pending.load(std::memory_order_relaxed) & ~m->signal_mask.load(std::memory_order_relaxed))
      m->signals_pending.fetch_or(bit(kPassed), std::memory_order_seq_cst);  // again when one of those has been handled
    return;
  }
}

void main_signals_settle(MainThread* m) noexcept {
  uint64_t mask = m->signal_mask.load(std::memory_order_relaxed);
  if (mask != signals_main_mask()) signals_set_mask(m, mask);
  if (!m->signals_pending.load(std::memory_order_seq_cst)) return;
  for (bool more = true; more;) {
    main_signals_look(m);
    held = more = false;
    siginfo_t info{};
    while (int signal = signals_take(m, mask, &info)) {
      send_to_itself(m->carrier, signal, info);
      more = begin.load(std::memory_order_relaxed) != end.load(std::memory_order_acquire);  // there is room now
    }
  }
}

int main_signals_action(MainThread* m, int signal, struct sigaction* action, bool* is_reset) noexcept {
  *is_reset = reset.load(std::memory_order_relaxed) & bit(signal);
  if (!*is_reset) return signals_action(signal, nullptr, action);
  reset.fetch_and(~bit(signal), std::memory_order_relaxed);
  return signals_delivered_action(signal, action);
}

void main_handler_begins(MainThread* m, uint8_t kind) noexcept {
  m->handlers_ran = (uint8_t)(m->handlers_ran | kind);
  // At home it may wait, and on a slot it must: who it waits for can run nowhere else.
  m->in_place = !swaps || m->carrier->is_blocking;
  ++vt_platform.handlers;
}

void main_leaves_call(MainThread* m) noexcept {
  RuntimeSection section;
  m->in_place = false;
  if (m->carrier->is_blocking) from_blocking_thread();
}

}  // namespace vt
