#include "core/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>

#include "base/config.h"
#include "core/blocking.h"
#include "core/carrier.h"
#include "core/eject.h"
#include "core/main_thread.h"
#include "core/os_thread.h"
#include "core/pin.h"
#include "core/runtime.h"
#include "core/scheduler.h"
#include "core/slot.h"
#include "core/starter.h"
#include "core/thread_signals.h"
#include "core/unit_pool.h"
#include "sys/clock.h"
#include "sys/descriptors.h"
#include "sys/futex.h"

namespace vt {
namespace {

constexpr uint64_t kTick = 2'000'000;      // ns; what has run for a tick without a switch is looked at, so nothing stalls for more than two
constexpr unsigned kQuietTicks = 100;      // with all carriers idle for so long, the monitor sleeps until one isn't, who then pays for waking it
constexpr unsigned kLeastQuietTicks = 10;  // where that has been worth it:
constexpr uint64_t kWorthSleeping = 50 * kTick;
constexpr uint64_t kHog = 1'500'000;       // ns of CPU time without a switch: the carrier computes for one thread

constexpr uint64_t kLongHog = 100'000'000; // ns; on a slot it's taken off in the middle of libc's code, too

constexpr uint32_t kHogTicks = 3;          // looks at one that computes until its unfinished I/O is moved
constexpr uint64_t kLinger = 2 * sys::kSecond;     // a surplus carrier idles for so long before it leaves
constexpr uint64_t kQuickTick = 150'000;           // after an ejection
constexpr unsigned kQuickLooks = 6;                // so often: one sees whom the carrier runs next, another that it hasn't switched since
constexpr uint64_t kQuickHog = 300'000;            // ns: of who was behind a thread that computes
constexpr uint64_t kStopAfter = 5 * sys::kSecond;  // without a virtual thread for so long, everything ends
constexpr uint64_t kStopAfterInChaos = 3 * kTick;
constexpr uint64_t kLongTick = sys::kSecond / 2;   // between looks while it waits for one of these only

std::atomic<uint32_t> bell{0};       // futex
std::atomic<bool> polls{false};      // it sleeps in poll, not on the bell: process-directed signals (core/thread_signals.h)
int bell_fd = -1, signal_fd = -1;    // for that
std::atomic<uint32_t> requested{0};  // carriers asked for
std::atomic<bool> main_exited{false};
std::atomic<pid_t> os_tid{0};
unsigned quick_looks = 0;            // after an ejection; the monitor's own
Carrier* suspect = nullptr;          // has got a computing one's queue: who waited there may compute as well
std::atomic<uint32_t> ticks{0};

/// The state in the text of a /proc/.../stat: 'R' runs or could, 'S' and 'D' wait in the kernel.
char state_in(const char* text, long n) noexcept {
  for (long i = n - 2; i > 0; --i)  // it follows the last ')'
    if (text[i] == ')') return text[i + 2 < n ? i + 2 : i];
  return '?';
}

/// Without /proc who hasn't run is taken for one that waits: where a call is or isn't the ejection's handler sees for itself.
char os_state(Carrier* c) noexcept {
  char text[512];
  long n = c->view.read(c->view.stat, c->os_tid, "stat", text, sizeof text);
  return n == -ENOENT ? 'S' : state_in(text, n);
}

/// The main thread has ended, by pthread_exit as a platform thread.
bool main_is_zombie() noexcept {
  char text[512];
  long fd = sys::raw(SYS_open, "/proc/self/stat", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  long n = sys::raw(SYS_read, fd, text, sizeof text - 1);
  sys::raw(SYS_close, fd);
  return state_in(text, n) == 'Z';
}

/// CPU time that an OS thread of ours has used, ns: the clock of another thread of the process, as clock_getcpuclockid(3) forms it.
uint64_t cpu_time(pid_t tid) noexcept {
  constexpr unsigned kPerThread = 4, kSchedClock = 2;
  timespec t{};
  sys::raw(SYS_clock_gettime, (long)(((unsigned)~tid << 3) | kPerThread | kSchedClock), &t);
  return sys::to_ns(t);
}

/// Whom a stuck carrier's work goes to: an idle one, else the one with the least to do; the main thread's last of all. Null if all
/// are stuck.
Carrier* best_helper() noexcept {
  Carrier* best = nullptr;
  for (unsigned n = carrier_count(), i = n; i-- > 0;) {
    Carrier* c = carrier_at(i);
    if (!is_open(c)) continue;
    if (c->idle.load(std::memory_order_relaxed)) return c;
    if (c->stuck.load(std::memory_order_relaxed)) continue;
    if (!best || c->queue.size() < best->queue.size()) best = c;
  }
  return best;
}

Carrier* another_open(const Carrier* c) noexcept {
  for (unsigned i = carrier_count(); i-- > 0;)
    if (Carrier* other = carrier_at(i); other != c && is_open(other)) return other;
  return nullptr;
}

/// `c` has run the same thread since the last tick.
void look_at_stuck(Carrier* c, uint64_t now) noexcept {
  if (c->timers.next() <= now) c->timers.expire(now, nullptr);
  uint64_t cpu = cpu_time(c->os_tid);
  bool quick = c == suspect && quick_looks;
  bool ran = cpu - c->looked_cpu >= (quick ? kQuickTick : kTick) / 4;  // then it surely isn't waiting, and its state, which costs some 10 us, needn't be read
  c->looked_cpu = cpu;
  char state = ran ? 'R' : os_state(c);
  bool computes = state == 'R';
  if (computes && cpu - c->seen_cpu < (quick ? kQuickHog : kHog)) return;  // it waits for a CPU: the kernel's turn, not a further carrier's
  bool io = c->reactor.in_flight() || __atomic_load_n(&c->mail, __ATOMIC_RELAXED) || __atomic_load_n(&c->requests, __ATOMIC_RELAXED);
  // Stuck even with nothing that waits for it: it must not count as one that could take others' work.
  c->stuck.store(true, std::memory_order_relaxed);
  if (c->queue.size() == 0 && !io) return;
  VThread* v = __atomic_load_n(&c->running, __ATOMIC_RELAXED);
  if (state == 'S') {
    Claim claim = eject_blocked(c, v);
    if (claim == Claim::kYes) quick_looks = kQuickLooks;  // the carrier goes on by itself
    if (claim != Claim::kNo) return;
    // On a slot I/O stays; who is runnable has his turn before further I/O is looked for.
    if (io && (!swaps || c->queue.size() == 0) && eject_note_call(c)) carrier_kick(c, swaps ? Kick::kReap : Kick::kMoveIo, true);
  } else if (computes && io && !eject_is_coming(c)) {  // whom a further signal found there, after that one, nobody knows
    // It may have begun to wait just now, in a call that would end with EINTR then. What computes for long waits for CPUs, too, and so does the kick: its I/O goes to a ring whose owner is at hand.
    bool waits = eject_note_call(c);
    if (!waits || !swaps) carrier_kick(c, swaps || ++c->hog_ticks < kHogTicks ? Kick::kReap : Kick::kMoveIo, waits);
  }
  if (c->queue.size() == 0) return;
  // Whoever waits there can run nowhere else.
  if (swaps) {
    if (c->eject_put_off.exchange(false, std::memory_order_relaxed)) quick_looks = kQuickLooks;
    if (state != 'S') eject_computing(c, v, c, cpu - c->seen_cpu >= kLongHog);
    else if (eject_waiting(c, v, c)) quick_looks = kQuickLooks;
    return;
  }
  // Its queue moves as a whole. To ask another one to steal wouldn't do: one that always has work never comes to it.
  Carrier* to = best_helper();
  if (!to || (!to->idle.load(std::memory_order_relaxed) && open_carriers() < carrier_target())) {
    if (starter_ask_carrier() == 0) return;  // when it is there it idles
  }
  // No other: those behind it come first, there or where another can be ejected; the one for whom it waits, say for ld.so's lock, may be
  // among them. One that computes has had its time slice.
  if (!to && state == 'S') {
    if (eject_waiting(c, v, c)) quick_looks = kQuickLooks;
    else to = another_open(c);
  } else if (!to && computes) {
    eject_computing(c, v, c);
  }
  if (!to || to == c) return;
  // The idle protocol: the pushes come before the look at `idle`, which is carrier_wake's.
  auto give = [&](uint32_t tick) {
    if (!c->queue.move_all_to(to->queue, tick)) return;
    carrier_wake(to);
    if (computes) suspect = to, quick_looks = kQuickLooks;
  };
  give(main_tick(to));
  if (to->is_main && c->queue.size() && starter_ask_carrier() == 0) return;  // who was sent off main's carrier isn't for it
  // Main, or a pinned thread, is left, and can run nowhere else; it may have the lock that is waited for.
  if (c->queue.size() == 0) return;
  if (computes) eject_computing(c, v, to);
  else if (state == 'S' && eject_waiting(c, v, to)) quick_looks = kQuickLooks;
}

/// What a carrier that left was given in a race goes to carrier 0. True if there was something.
bool rescue(Carrier* c, uint64_t now) noexcept {
  if (c->timers.next() <= now) c->timers.expire(now, nullptr);
  if (c->queue.size() && c->queue.move_all_to(carrier_at(0)->queue)) carrier_wake(carrier_at(0));
  return c->timers.next() != sys::kForever;
}

/// True if every carrier idles.
bool look_around() noexcept {
  bool quiet = carrier_count() != 0;  // before the first carrier is there the runtime is on its way
  uint64_t now = sys::now();
  for (unsigned i = carrier_count(); i < carrier_objects(); ++i) quiet &= !rescue(carrier_at(i), now);
  for (unsigned i = 0; i < carrier_count(); ++i) {
    Carrier* c = carrier_at(i);
    if (c->is_boxed && c->gone.load(std::memory_order_relaxed)) quiet &= !rescue(c, now);
    if (c->idle.load(std::memory_order_relaxed)) {
      c->seen_switches = 0;
      if (!c->idle_since) c->idle_since = now;
      continue;
    }
    c->idle_since = 0;
    // Main by itself: it waits in the kernel, or computes, and nobody needs its carrier.
    if (c->is_main && live_threads() == 0 && c->queue.size() == 0) continue;
    quiet = false;
    uint64_t switches = c->switches.load(std::memory_order_relaxed);
    if (switches == c->seen_switches && (__atomic_load_n(&c->running, __ATOMIC_RELAXED) || c->in_handler))
      look_at_stuck(c, now);
    else
      c->stuck.store(false, std::memory_order_relaxed);
    // A thread has waited in its queue for two ticks: another carrier tries whether it can help, however little that was worth before.
    if (c->queue.size()) {
      uint64_t since = c->queue.waits_since();
      if (since < now && now - since >= 2 * kTick) carrier_want_help();
    }
    if (switches != c->seen_switches) {
      c->hog_ticks = 0;
      c->seen_cpu = c->looked_cpu = cpu_time(c->os_tid);
    }
    c->seen_switches = switches;
  }
  return !pins_look(now) && quiet;
}

/// A carrier beyond those that are wanted has idled for long: the last one leaves. True if there may be more of them later.
bool thin_out(uint64_t now) noexcept {
  unsigned n = carrier_count();
  if (n <= carrier_target() || open_carriers() <= carrier_target()) return false;
  Carrier* last = carrier_at(n - 1);
  if (last->idle_since && now - last->idle_since > kLinger) carrier_retire_last();
  return open_carriers() > carrier_target();
}

/// Waits for signals of the process, too: false if that can't be done, for want of descriptors.
bool sleep_for_signals(uint64_t signals, uint32_t seen, const timespec* deadline, long* result) noexcept {
  static uint64_t watched = 0;
  if (bell_fd < 0) bell_fd = sys::move_up((int)sys::raw(SYS_eventfd2, 0, O_CLOEXEC | O_NONBLOCK), true);
  if (signal_fd < 0) watched = 0;
  if (watched != signals) {
    long fd = sys::raw(SYS_signalfd4, signal_fd, &signals, sizeof signals, O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) watched = signals, signal_fd = signal_fd < 0 ? sys::move_up((int)fd, true) : signal_fd;
  }
  if (bell_fd < 0 || signal_fd < 0) return false;
  // seq_cst: we store polls, then look at the bell; who rings counts the bell, then looks at polls
  polls.store(true, std::memory_order_seq_cst);
  pollfd fds[2] = {{bell_fd, POLLIN, 0}, {signal_fd, POLLIN, 0}};
  *result = -EAGAIN;
  if (bell.load(std::memory_order_seq_cst) == seen) {
    timespec rest{};
    if (deadline) {
      uint64_t now = sys::now(), then = sys::to_ns(*deadline);
      rest = sys::to_timespec(then > now ? then - now : 0);
    }
    *result = sys::raw(SYS_ppoll, fds, 2, deadline ? &rest : nullptr, nullptr, 8) == 0 ? -ETIMEDOUT : 0;
  }
  polls.store(false, std::memory_order_relaxed);
  uint64_t count;
  if (fds[0].revents) sys::raw(SYS_read, bell_fd, &count, sizeof count);
  if (fds[1].revents || signals_look_asked()) signals_pass_on();
  return true;
}

long sleep(uint32_t seen, const timespec* deadline) noexcept {
  uint64_t signals = signals_for_monitor();
  long r = 0;
  if (signals && sleep_for_signals(signals, seen, deadline, &r)) return r;
  return sys::futex_wait(&bell, seen, deadline);
}

void* run(void*) noexcept {
  os_thread_prepare(nullptr, "vtshim-monitor");
  os_tid.store((pid_t)sys::raw(SYS_gettid), std::memory_order_release);
  unsigned quiet = 0, quiet_wanted = kQuietTicks;
  uint64_t none_since = 0;  // since when there has been no virtual thread
  uint64_t created_then = 0;
  for (;;) {
    uint32_t seen = bell.load(std::memory_order_acquire);
    ticks.store(ticks.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    monitor_clock.store(sys::now(), std::memory_order_relaxed);
    signals_notify_all();
    if (signals_look_asked()) signals_pass_on();
    quiet = look_around() ? quiet + 1 : 0;
    if (requested.exchange(0, std::memory_order_acquire) && open_carriers() < carrier_target() && starter_ask_carrier() == -EBUSY)
      requested.store(1, std::memory_order_relaxed);  // at the next tick
    uint64_t now = sys::now();
    if (main_exited.load(std::memory_order_acquire) && live_threads() == 0 && main_is_zombie()) exit(0);
    // Threads may live and end between two looks.
    uint64_t created = created_threads();
    bool none = live_threads() == 0 && created == created_then;
    created_then = created;
    none_since = !none ? 0 : none_since ? none_since : now;
    PoolRest rest = unit_pool_give_back(now);
    if (rest != PoolRest::kNow && none_since && now - none_since >= (config.chaos ? kStopAfterInChaos : kStopAfter) && !main_exited.load(std::memory_order_relaxed)) {
      if (runtime_stop()) return nullptr;
      main_ask_native();  // it may wait in its ring, since before the last thread ended
    }
    bool surplus = thin_out(now) || rest == PoolRest::kLater;
    if (quiet > quiet_wanted && rest != PoolRest::kNow && !main_exited.load(std::memory_order_relaxed)) {
      monitor_asleep.store(1, std::memory_order_seq_cst);  // then look again: pairs with monitor_notice's order
      bool time_only = false;  // it was woken by the time, and by nobody: it goes on sleeping unless it finds something
      if (look_around() && !requested.load(std::memory_order_seq_cst)) {
        timespec later = sys::to_timespec(now + kLongTick);
        // For ever only while there is somebody who will leave an idle wait, and tell us, before anything else can happen.
        time_only = sleep(seen, surplus || live_threads() == 0 ? &later : nullptr) == -ETIMEDOUT;
      }
      monitor_asleep.store(0, std::memory_order_relaxed);
      if (live_threads() && !time_only) {
        quiet = 0;
        quiet_wanted = sys::now() - now >= kWorthSleeping ? kLeastQuietTicks : std::min(2 * quiet_wanted, kQuietTicks);
      }
      continue;
    }
    // Who was behind an ejected thread may block as well: one each tick would be slow for many.
    timespec deadline = sys::to_timespec(now + (quick_looks ? kQuickTick : kTick));
    if (quick_looks) --quick_looks;
    sleep(seen, &deadline);
  }
}

void ring_bell() noexcept {
  bell.fetch_add(1, std::memory_order_seq_cst);
  sys::futex_wake(&bell, 1);
  uint64_t one = 1;
  if (polls.load(std::memory_order_seq_cst)) sys::raw(SYS_write, bell_fd, &one, sizeof one);
}

}  // namespace

alignas(64) std::atomic<uint64_t> monitor_clock{0};  // read at each switch: not beside what is written often
std::atomic<uint32_t> monitor_asleep{0};  // 1: in the long sleep

pid_t monitor_os_tid() noexcept {
  pid_t tid;
  while (!(tid = os_tid.load(std::memory_order_acquire))) sys::raw(SYS_sched_yield);  // it is just starting
  return tid;
}
uint32_t monitor_ticks() noexcept { return ticks.load(std::memory_order_relaxed); }

int monitor_start() noexcept {
  os_tid.store(0, std::memory_order_relaxed);
  monitor_clock.store(sys::now(), std::memory_order_relaxed);
  return os_thread_start(nullptr, run, nullptr);
}

void monitor_notice() noexcept {
  // The caller has stored idle = 0; the monitor stores asleep, then looks at idle.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!monitor_asleep.load(std::memory_order_relaxed)) return;
  monitor_clock.store(sys::now(), std::memory_order_relaxed);  // it has stood still meanwhile
  if (monitor_asleep.exchange(0, std::memory_order_relaxed)) ring_bell();
}

void monitor_rescue() noexcept { ring_bell(); }

void monitor_request_carrier() noexcept {
  if (requested.exchange(1, std::memory_order_seq_cst) == 0 && sys::raw(SYS_gettid) != os_tid.load(std::memory_order_relaxed)) ring_bell();
}

void monitor_main_exited() noexcept {
  main_exited.store(true, std::memory_order_release);
  ring_bell();
}

void monitor_after_fork() noexcept {
  bell.store(0, std::memory_order_relaxed);
  polls.store(false, std::memory_order_relaxed);
  for (int* fd : {&bell_fd, &signal_fd}) {
    if (*fd >= 0) sys::raw(SYS_close, *fd);
    *fd = -1;
  }
  monitor_asleep.store(0, std::memory_order_relaxed);
  requested.store(0, std::memory_order_relaxed);
  main_exited.store(false, std::memory_order_relaxed);
}

}  // namespace vt
