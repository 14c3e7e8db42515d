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
std::atomic<uint64_t> reset{0};  // of them, those for which the kernel has taken the handler away: SA_RESETHAND

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool kHandlersStay = true;  // they run on the OS thread's signal stack
#else
constexpr bool kHandlersStay = false;
#endif
/// Only an OS thread itself may send itself what others have sent.
void send_to_itself(const Carrier* c, int signal, const siginfo_t& info) noexcept {
  sys::raw(SYS_rt_tgsigqueueinfo, getpid(), c->os_tid, signal, &info);
}

}  // namespace

void main_signals_begin() noexcept {
  begin.store(end.load(std::memory_order_relaxed), std::memory_order_relaxed);
  reset.store(0, std::memory_order_relaxed);
}
void main_signals_note_reset(int signal) noexcept { reset.fetch_or(bit(signal), std::memory_order_relaxed); }

void main_signals_pass(MainThread* m, Carrier* c, int signal, const siginfo_t& info, bool is_reset) noexcept {
  // `carrier` leaves us and comes back to us on this OS thread only: between that main runs elsewhere, or is on its
  // way.
  bool away = __atomic_load_n(&m->carrier, __ATOMIC_RELAXED) != c;
  uint32_t at = end.load(std::memory_order_relaxed);
  bool room = at - begin.load(std::memory_order_acquire) < kMostPassed;
  if (room) {
    infos[at % kMostPassed] = info;
    infos[at % kMostPassed].si_signo = signal;
    if (is_reset) reset.fetch_or(bit(signal), std::memory_order_relaxed);
    end.store(at + 1, std::memory_order_release);
  }
  if (!room) {
    complain("more than %u signals that the main thread has had no time for: %s is lost", kMostPassed,
             SignalName(signal).text());
    return;
  }
  // As signals_send(): the bit, then where main is; main says where it is, then looks at the bit.
  uint64_t others = m->signals_pending.fetch_or(bit(kPassed), std::memory_order_seq_cst);
  if (!away || (others & bit(kPassed)))
    return;  // who set it has told main, and main hasn't looked yet: a flood would fill its stack
  signals_barrier();
  if (Carrier* where = __atomic_load_n(&m->carrier, __ATOMIC_ACQUIRE)) eject_for_signals(where);
}

void main_signals_look(MainThread* m) noexcept {
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
    more = false;
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
  m->in_place = m->carrier->is_blocking || kHandlersStay;
  ++vt_platform.handlers;
}

void main_leaves_call(MainThread* m) noexcept {
  RuntimeSection section;
  m->in_place = false;
  if (m->carrier->is_blocking) from_blocking_thread();
}

}  // namespace vt
