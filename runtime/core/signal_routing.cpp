// How signals come to virtual threads that the kernel doesn't know: those of the process that main blocks, and those of timers for one
// thread. The monitor sees them in a signalfd. Layer: core.
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "api.h"
#include "core/carrier.h"
#include "core/monitor.h"
#include "core/os_thread.h"
#include "core/registry.h"
#include "core/thread_signals.h"
#include "sys/raw.h"
#include "sys/signal_bits.h"

namespace vt {

struct TimerSignal {
  std::atomic<bool> used{false};
  timer_t timer = nullptr;
  bool made = false;
  pid_t thread = 0;
  int signal = 0;
  sigval value{};
};
namespace {

using sys::bit;
constexpr uint64_t kNever = sys::kLibcSignals | sys::kUnmaskable;

// ---- signals of the process that main blocks
std::atomic<uint64_t> main_blocked{0};   // the main OS thread's mask
std::atomic<uint64_t> monitor_wants{0};  // of it, what some virtual thread may not block

void want_on_monitor(uint64_t bits) noexcept {
  bits &= ~(kNever | runtime_signals() | synchronous_signals() | monitor_wants.load(std::memory_order_seq_cst));
  if (!bits) return;
  monitor_wants.fetch_or(bits, std::memory_order_seq_cst);
  monitor_rescue();
}
/// A thread that a signal of the process may go to. Null: there is none.
VThread* who_takes(int signal) noexcept {
  for (uint32_t i = 0, n = registry_count(); i < n; ++i) {
    VThread* v = registry_at(i);
    if (!v || v->state.load(std::memory_order_acquire) == State::kFree || __atomic_load_n(&v->done, __ATOMIC_RELAXED)) continue;
    if (!(v->signal_mask.load(std::memory_order_seq_cst) & ~v->signals_awaited.load(std::memory_order_relaxed) & bit(signal))) return v;
  }
  return nullptr;
}

TimerSignal timer_signals[256];

/// The kernel's timers for virtual threads come to the monitor as the kick's signal, which it blocks.
void timers_expired(int signal) noexcept {
  uint64_t one = bit(signal);
  timespec none{};
  siginfo_t info{};
  while (sys::raw(SYS_rt_sigtimedwait, &one, &info, &none, sizeof one) == signal) {
    auto* t = static_cast<TimerSignal*>(info.si_value.sival_ptr);
    if (info.si_code != SI_TIMER || t < timer_signals || t >= timer_signals + 256 || !t->used.load(std::memory_order_acquire)) continue;
    VThread* v = registry_find(t->thread);
    if (!v) continue;
    info.si_signo = t->signal;
    info.si_value = t->value;
    signals_send(v, t->signal, info);
  }
}

}  // namespace

void signals_note_unblocked(uint64_t mask) noexcept {
  if (uint64_t bits = ~mask & main_blocked.load(std::memory_order_seq_cst)) want_on_monitor(bits);
}

void signals_note_main_mask(uint64_t mask) noexcept {
  mask &= ~kNever;
  uint64_t before = main_blocked.exchange(mask, std::memory_order_seq_cst);
  MainThread* m = main_thread();
  if (!m) return;
  m->signal_mask.store(mask, std::memory_order_relaxed);
  m->carrier->pipe = m->pipe = mask & bit(SIGPIPE) ? PipeMask::kMains : PipeMask::kOpen;
  if (live.load(std::memory_order_relaxed)) want_on_monitor(mask & ~before);
}

uint64_t signals_main_mask() noexcept { return main_blocked.load(std::memory_order_relaxed); }

uint64_t signals_for_monitor() noexcept { return monitor_wants.load(std::memory_order_seq_cst); }

void signals_pass_on() noexcept {
  uint64_t pending = 0;
  sys::raw(SYS_rt_sigpending, &pending, sizeof pending);
  for (pending &= signals_for_monitor(); pending; pending &= pending - 1) {
    int signal = __builtin_ctzll(pending) + 1;
    if (is_runtime_signal(signal)) {
      timers_expired(signal);
      continue;
    }
    VThread* v = who_takes(signal);
    if (!v) {
      // It stays pending in the process. Who unblocks it after this sets the bit again.
      monitor_wants.fetch_and(~bit(signal), std::memory_order_seq_cst);
      if (!(v = who_takes(signal))) continue;
    }
    uint64_t one = bit(signal);
    timespec none{};
    siginfo_t info{};
    if (sys::raw(SYS_rt_sigtimedwait, &one, &info, &none, sizeof one) == signal) signals_send(v, signal, info);
  }
}

int timer_signal_begin(sigevent* event, TimerSignal** signal) noexcept {
  pid_t id = event->_sigev_un._tid;
  VThread* v = id >= kVirtualTidBase ? registry_find(id) : nullptr;
  if (!v || v->is_main) return 0;
  if (event->sigev_signo < 1 || event->sigev_signo > 64 || is_runtime_signal(event->sigev_signo)) return -EINVAL;
  for (TimerSignal& t : timer_signals) {
    if (t.used.load(std::memory_order_relaxed) || t.used.exchange(true, std::memory_order_acquire)) continue;
    t.made = false;
    t.thread = id;
    t.signal = event->sigev_signo;
    t.value = event->sigev_value;
    event->_sigev_un._tid = monitor_os_tid();
    event->sigev_signo = kick_signal_number();
    event->sigev_value.sival_ptr = &t;
    monitor_wants.fetch_or(bit(event->sigev_signo), std::memory_order_seq_cst);
    monitor_rescue();
    *signal = &t;
    return 0;
  }
  return -EAGAIN;
}

void timer_signal_made(TimerSignal* signal, const timer_t* timer) noexcept {
  if (!timer) return signal->used.store(false, std::memory_order_release);
  signal->timer = *timer;
  signal->made = true;
}

void timer_signal_gone(timer_t timer) noexcept {
  for (TimerSignal& t : timer_signals)
    if (t.used.load(std::memory_order_acquire) && t.made && t.timer == timer) return t.used.store(false, std::memory_order_release);
}

void signal_routing_after_fork() noexcept {
  main_blocked.store(0, std::memory_order_relaxed);
  monitor_wants.store(0, std::memory_order_relaxed);
  for (TimerSignal& t : timer_signals)  // a child has none
    if (t.used.load(std::memory_order_relaxed)) t.used.store(false, std::memory_order_relaxed);
}

}  // namespace vt
