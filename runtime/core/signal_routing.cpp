// How signals come to virtual threads that the kernel doesn't know: those of the process that main blocks, and those of timers for one
// thread. The monitor sees them in a signalfd. Layer: core.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "core/carrier.h"
#include "core/monitor.h"
#include "core/os_thread.h"
#include "core/registry.h"
#include "core/thread_signals.h"
#include "sys/futex.h"
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
std::atomic<uint64_t> passing{0};        // the monitor has taken it from the kernel, and its thread hasn't got it yet
std::atomic<uint64_t> main_awaits{0};    // of it, what main waits for in sigwait(3) or its kin

void want_on_monitor(uint64_t bits) noexcept {
  bits &= ~(kNever | runtime_signals() | synchronous_signals() | monitor_wants.load(std::memory_order_seq_cst));
  if (!bits) return;
  monitor_wants.fetch_or(bits, std::memory_order_seq_cst);
  monitor_rescue();
}
bool mains(int signal) noexcept {
  return !(main_blocked.load(std::memory_order_seq_cst) & bit(signal)) || (main_awaits.load(std::memory_order_seq_cst) & bit(signal));
}
/// A thread that a signal of the process may go to, which main blocks. Null: there is none.
VThread* who_takes(int signal) noexcept {
  for (uint32_t i = 0, n = registry_count(); i < n; ++i) {
    VThread* v = registry_at(i);
    if (!v || v->state.load(std::memory_order_acquire) == State::kFree || __atomic_load_n(&v->done, __ATOMIC_RELAXED)) continue;
    if (!(v->signal_mask.load(std::memory_order_seq_cst) & ~v->signals_awaited.load(std::memory_order_relaxed) & bit(signal))) return v;
  }
  return nullptr;
}

// ---- who can't take them from the kernel himself asks the monitor to look at once, and waits for its answer
std::atomic<uint32_t> looks_asked{0}, looks_done{0};  // looks_done: a futex
void ask_monitor() noexcept {
  uint32_t mine = looks_asked.fetch_add(1, std::memory_order_seq_cst) + 1;
  monitor_rescue();
  for (uint32_t done; (int32_t)((done = looks_done.load(std::memory_order_acquire)) - mine) < 0;) sys::futex_wait(&looks_done, done);
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

void signals_main_unblocks(uint64_t mask) noexcept {
  // seq_cst: we store, then the kernel gives main what comes; the monitor sees what came, then looks
  if (main_blocked.load(std::memory_order_relaxed) & ~mask) main_blocked.fetch_and(mask, std::memory_order_seq_cst);
}

void signals_main_awaits(uint64_t bits) noexcept {
  uint64_t before = main_awaits.exchange(bits, std::memory_order_seq_cst);
  if (live.load(std::memory_order_relaxed)) want_on_monitor(before & ~bits & main_blocked.load(std::memory_order_seq_cst));
}

uint64_t signals_main_mask() noexcept { return main_blocked.load(std::memory_order_relaxed); }

bool signals_look_asked() noexcept { return looks_asked.load(std::memory_order_seq_cst) != looks_done.load(std::memory_order_relaxed); }
uint64_t signals_for_monitor() noexcept { return monitor_wants.load(std::memory_order_seq_cst); }

void signals_pass_on() noexcept {
  struct Answer {
    uint32_t asked = looks_asked.load(std::memory_order_seq_cst);  // before the look
    ~Answer() {
      if (looks_done.load(std::memory_order_relaxed) == asked) return;
      looks_done.store(asked, std::memory_order_release);  // pairs with ask_monitor()
      sys::futex_wake(&looks_done, INT_MAX);
    }
  } answer;
  uint64_t pending = 0;
  sys::raw(SYS_rt_sigpending, &pending, sizeof pending);
  for (pending &= signals_for_monitor(); pending; pending &= pending - 1) {
    int signal = __builtin_ctzll(pending) + 1;
    if (is_runtime_signal(signal)) {
      timers_expired(signal);
      continue;
    }
    // As Linux: main's, if main doesn't block it; then its OS thread takes it by itself.
    VThread* v = mains(signal) ? nullptr : who_takes(signal);
    if (!v) {
      // It stays pending in the process. Who unblocks it after this, or main, if that blocks it, sets the bit again.
      monitor_wants.fetch_and(~bit(signal), std::memory_order_seq_cst);
      if (mains(signal) || !(v = who_takes(signal))) continue;
    }
    uint64_t one = bit(signal);
    timespec none{};
    siginfo_t info{};
    passing.store(one, std::memory_order_seq_cst);  // before it's taken: who no longer finds it in the kernel sees this
    if (sys::raw(SYS_rt_sigtimedwait, &one, &info, &none, sizeof one) == signal) signals_send(v, signal, info);
    passing.store(0, std::memory_order_release);  // pairs with signals_have_unblocked()
  }
}

namespace {
/// On the main OS thread the kernel has main's own signals among its caller's.
bool sees_mains(const VThread* v) noexcept { return !v->is_main && v->carrier->is_main; }
}  // namespace

bool signals_show_mains() noexcept {
  VThread* v = current();
  return v && !is_child_in_memory(v) && sees_mains(v);
}

uint64_t process_pending_signals() noexcept {
  constexpr char kName[] = "\nShdPnd:\t";
  char text[4096];
  long fd = sys::raw(SYS_open, "/proc/self/status", O_RDONLY | O_CLOEXEC);
  long n = fd < 0 ? 0 : sys::raw(SYS_read, fd, text, sizeof text - 1);
  if (fd >= 0) sys::raw(SYS_close, fd);
  text[n > 0 ? n : 0] = 0;
  const char* line = strstr(text, kName);
  return line ? strtoull(line + sizeof kName - 1, nullptr, 16) : ~0ull;
}

bool signals_mains_in_the_way(const VThread* v, uint64_t bits) noexcept {
  uint64_t pending = 0;
  if (sees_mains(v)) sys::raw(SYS_rt_sigpending, &pending, sizeof pending);
  return pending & bits;
}

long signals_take_of_process(VThread* v, uint64_t bits, siginfo_t* info) noexcept {
  timespec none{};
  if (sees_mains(v)) {
    if (!signals_mains_in_the_way(v, bits)) return -EAGAIN;
    return blocking_system_call(false, SYS_rt_sigtimedwait, {(long)&bits, (long)info, (long)&none, (long)sizeof bits});
  }
  return sys::raw(SYS_rt_sigtimedwait, &bits, info, &none, sizeof bits);
}

void signals_have_unblocked(VThread* v, uint64_t bits) noexcept {
  bits &= main_blocked.load(std::memory_order_seq_cst) & ~(kNever | runtime_signals() | synchronous_signals());
  uint64_t pending = 0;
  if (__builtin_expect(!bits, 1) || v->depth) return;
  RuntimeSection section;  // nobody moves it to another OS thread
  sys::raw(SYS_rt_sigpending, &pending, sizeof pending);
  if ((pending & bits) && v->carrier->is_main) {
    want_on_monitor(bits);
    ask_monitor();  // here main's own would be taken as well
  } else {
    for (pending &= bits; pending; pending &= pending - 1) {
      int signal = __builtin_ctzll(pending) + 1;
      uint64_t one = bit(signal);
      timespec none{};
      siginfo_t info{};
      if (sys::raw(SYS_rt_sigtimedwait, &one, &info, &none, sizeof one) == signal) signals_queue(v, signal, info);
    }
  }
  while (passing.load(std::memory_order_acquire) & bits) sys::raw(SYS_sched_yield);  // to us, most likely
}

int process_queue(pid_t process, int signal, const siginfo_t* info) noexcept {
  if (signal < 1 || signal > 64 || !main_thread() || mains(signal) || ((kNever | runtime_signals()) & bit(signal)) || process != getpid()) return kNotVirtual;
  if (VThread* v = current(); v && is_child_in_memory(v)) return kNotVirtual;
  VThread* to = who_takes(signal);
  if (!to) return kNotVirtual;  // it waits in the kernel
  siginfo_t plain{};
  plain.si_signo = signal;
  plain.si_code = SI_USER;
  plain.si_pid = process;
  plain.si_uid = getuid();
  return signals_send(to, signal, info ? *info : plain);
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
  main_awaits.store(0, std::memory_order_relaxed);
  passing.store(0, std::memory_order_relaxed);
  looks_done.store(looks_asked.load(std::memory_order_relaxed), std::memory_order_relaxed);
  for (TimerSignal& t : timer_signals)  // a child has none
    if (t.used.load(std::memory_order_relaxed)) t.used.store(false, std::memory_order_relaxed);
}

}  // namespace vt
