#include "core/main_signals.h"

#include <unistd.h>

#include "core/carrier.h"
#include "core/eject.h"
#include "core/scheduler.h"
#include "core/signals.h"
#include "core/thread_signals.h"
#include "sys/raw.h"
#include "sys/signal_bits.h"

namespace vt {
namespace {

using sys::bit;

/// Only an OS thread itself may send itself what others have sent.
void send_to_itself(const Carrier* c, int signal, const siginfo_t& info) noexcept {
  sys::raw(SYS_rt_tgsigqueueinfo, getpid(), c->os_tid, signal, &info);
}

int take_any(MainThread* m, siginfo_t* info) noexcept {
  RuntimeSection section;
  return signals_take(m, ~0ull, info);
}

}  // namespace

bool main_signals_pass(MainThread* m, Carrier* c, int signal, const siginfo_t& info, bool is_reset) noexcept {
  // `carrier` leaves us and comes back to us on this OS thread only: between that main runs elsewhere, or is on its way.
  if (__atomic_load_n(&m->carrier, __ATOMIC_RELAXED) == c || eject_signal() <= 0) return false;
  PassedSignals& p = m->passed;
  uint64_t all = ~0ull, saved = 0;
  sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &all, &saved, sizeof all);  // one handler at a time
  uint32_t end = p.end.load(std::memory_order_relaxed);
  bool room = end - p.begin.load(std::memory_order_acquire) < PassedSignals::kMax;
  if (room) {
    p.infos[end % PassedSignals::kMax] = info;
    p.infos[end % PassedSignals::kMax].si_signo = signal;
    if (is_reset) p.reset.fetch_or(bit(signal), std::memory_order_relaxed);
    p.end.store(end + 1, std::memory_order_release);
  }
  sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &saved, nullptr, sizeof saved);
  if (!room) return false;
  // As signals_send(): the bit, then where main is; main says where it is, then looks at the bit.
  m->signals_pending.fetch_or(bit(kPassed), std::memory_order_seq_cst);
  signals_barrier();
  if (Carrier* where = __atomic_load_n(&m->carrier, __ATOMIC_ACQUIRE)) eject_for_signals(where);
  return true;
}

void main_signals_collect(MainThread* m) noexcept {
  RuntimeSection section;
  m->signals_pending.fetch_and(~bit(kPassed), std::memory_order_seq_cst);
  PassedSignals& p = m->passed;
  for (uint32_t i = p.begin.load(std::memory_order_relaxed); i != p.end.load(std::memory_order_acquire); p.begin.store(++i, std::memory_order_release)) {
    const siginfo_t& info = p.infos[i % PassedSignals::kMax];
    signals_queue(m, info.si_signo, info);
  }
}

bool main_signals_give_back(MainThread* m) noexcept {
  Carrier* c = m->carrier;
  if (c->is_blocking) return false;
  main_signals_collect(m);
  siginfo_t info{};
  for (int signal; (signal = take_any(m, &info));) send_to_itself(c, signal, info);
  return true;
}

void main_signals_settle(MainThread* m) noexcept {
  uint64_t mask = m->signal_mask.load(std::memory_order_relaxed);
  if (mask == signals_main_mask()) return;
  mask &= ~(runtime_signals() | sys::kLibcSignals);
  sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, sizeof mask);
  signals_note_main_mask(mask);
}

int main_signals_action(MainThread* m, int signal, struct sigaction* action, bool* is_reset) noexcept {
  *is_reset = m->passed.reset.load(std::memory_order_relaxed) & bit(signal);
  if (!*is_reset) return signals_action(signal, nullptr, action);
  m->passed.reset.fetch_and(~bit(signal), std::memory_order_relaxed);
  return signals_delivered_action(signal, action);
}

void main_handler_begins(MainThread* m, uint8_t kind) noexcept {
  m->handlers_ran = (uint8_t)(m->handlers_ran | kind);
  m->in_place = true;
  ++vt_platform.handlers;
}

void main_leaves_call(MainThread* m) noexcept {
  RuntimeSection section;
  m->in_place = false;
  if (m->carrier->is_blocking) from_blocking_thread();
}

void main_takes_pipe(const siginfo_t& info) noexcept {
  MainThread* m = main_thread();
  if (!m) return;
  signals_queue(m, SIGPIPE, info);
  auto blocked = PipeMask::kMains;
  __atomic_compare_exchange_n(&m->pipe, &blocked, PipeMask::kTaken, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

PipeMask main_gives_pipe_back(MainThread* m, Carrier* c) noexcept {
  siginfo_t info{};
  if (signals_take(m, bit(SIGPIPE), &info)) send_to_itself(c, SIGPIPE, info);
  __atomic_store_n(&m->pipe, PipeMask::kMains, __ATOMIC_RELAXED);
  return PipeMask::kMains;
}

}  // namespace vt
