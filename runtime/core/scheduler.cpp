#include "core/scheduler.h"

#include "api.h"
#include "base/config.h"
#include "base/log.h"
#include "core/affinity.h"
#include "core/blocking.h"
#include "core/costs.h"
#include "core/cpu_clock.h"
#include "core/main_signals.h"
#include "core/look_ups.h"
#include "core/monitor.h"
#include "core/pin.h"
#include "core/signals.h"
#include "core/slot.h"
#include "core/thread_area.h"
#include "core/thread_signals.h"
#include "sys/clock.h"
#include "sys/fs_base.h"

namespace vt {

StealCredit steal_credit;

namespace {

constexpr uint32_t kPollEvery = 64;  // switches between looks at the ring and the timers of a carrier that never idles

TlsBackend backend = TlsBackend::kArchPrctl;
bool writes_fs = false;  // by an instruction

}  // namespace

void mount_area(char* tp) noexcept {
  if (writes_fs) sys::mount_fsgsbase(tp);
  else sys::mount_arch_prctl(tp);
}

namespace {

void mount(Carrier* c, VThread* v) noexcept {
  if (c->mounted == v->area && !(swaps && c->is_blocking)) return;  // there the DTV may still refer to the slot
  uint64_t start = __builtin_expect(costs.mounts_to_time.load(std::memory_order_relaxed), 0) ? sys::now() : 0;
  if (swaps) slot_mount(c, v);
  else if (backend == TlsBackend::kShared) vt_self = v;  // unit tests under a sanitizer: everybody on the carrier's own area
  else mount_area(v->area);
  c->mounted = v->area;
  ++c->mounts;
  if (__builtin_expect(start, 0)) costs_note_mount(sys::now() - start);
}

uint64_t next_random(uint64_t& state) noexcept {  // splitmix64
  uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

Carrier* random_carrier(uint64_t& state) noexcept {
  unsigned n = carrier_count();
  return n ? carrier_at((unsigned)(next_random(state) % n)) : nullptr;
}

/// `v` takes the carrier; the jump follows.
void take_over(Carrier* c, VThread* v) noexcept {
  if (__builtin_expect(v->exclusive, 0)) unreserve(c, v);
  __atomic_store_n(&v->carrier, c, __ATOMIC_RELEASE);  // registry.cpp looks into it
  v->since.store(monitor_time(), std::memory_order_release);
  if (!c->is_blocking) v->home = c;
  v->state.store(State::kRunning, std::memory_order_relaxed);
  if (__builtin_expect(c->bound | v->affinity_set.load(std::memory_order_relaxed), 0)) affinity_apply(c, v);
  if (__builtin_expect(cpu_clocks_on.load(std::memory_order_relaxed), 0)) cpu_clock_switch(c, v);
  if (__builtin_expect(c->pipe != v->pipe, 0)) signals_follow_mask(c, v);
  mount(c, v);
  __atomic_store_n(&c->running, v, __ATOMIC_RELAXED);
  c->switches.store(c->switches.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

/// Who leaves a slot is complete before others may have it.
void save_left(Carrier* c, VThread* v) noexcept {
  if (!c->is_blocking && c->mounted == v->area) slot_save(c);
}

/// Runs on the other side of every switch: the thread that was left is off its stack now.
void finish_switch(Carrier* c) noexcept {
  VThread* v = c->left;
  Commit what = c->commit;
  c->commit = Commit::kNone;
  switch (what) {
    case Commit::kNone: return;
    case Commit::kPark: {
      State expected = State::kRunning;
      // release: the saved context and all that v did; pairs with the acquire in unpark() [park]
      if (v->state.compare_exchange_strong(expected, State::kParked, std::memory_order_release, std::memory_order_acquire)) return;
      VT_CHECK(expected == State::kNotified);  // the wake-up came while it was leaving
      v->state.store(State::kRunnable, std::memory_order_relaxed);
      enqueue(v, c->is_blocking ? v->home : c, c);
      return;
    }
    case Commit::kYield:
      v->state.store(State::kRunnable, std::memory_order_relaxed);
      if (v->stays()) enqueue(v, v->exclusive ? c : v->home, c);
      else enqueue(v, config.chaos ? random_carrier(c->random) : c, c);
      return;
    case Commit::kEject:
      v->state.store(State::kRunnable, std::memory_order_relaxed);
      enqueue(v, v->home, c);
      return;
    case Commit::kFromBlocking:
      v->state.store(State::kRunnable, std::memory_order_relaxed);
      enqueue(v, v->home, c);
      return;
    case Commit::kToBlocking:
      if (swaps) save_left(c, v);
      v->state.store(State::kRunnable, std::memory_order_relaxed);
      // From here on its area is the blocking thread's, as on_signal() sees: on this OS thread, too.
      if (v->is_main) __atomic_store_n(&v->carrier, (Carrier*)nullptr, __ATOMIC_RELAXED);
      blocking_push(v);
      return;
    case Commit::kExit:
      if (swaps) {
        save_left(c, v);
        v->home->residents.fetch_sub(1, std::memory_order_relaxed);
      }
      thread_ended(v, c);
      return;
  }
}

VThread* next_in_queue(Carrier* c) noexcept {
  if (c->is_blocking) return nullptr;
  if (++c->ticks % kPollEvery == 0) return nullptr;  // to the loop, which looks at ring and timers
  if (c->attention.load(std::memory_order_relaxed)) return nullptr;
  if (__builtin_expect(!is_open(c), 0)) return c->queue.pop_staying();
  if (__builtin_expect(common_queue.size(), 0)) return nullptr;  // to the loop, which takes from there
  return c->queue.pop();
}

void chaos_delay(VThread* v) noexcept {
  uint64_t dice = next_random(v->random);
  if ((dice & 7) == 0)
    for (unsigned i = (dice >> 8) & 0x3ff; i; --i) __builtin_ia32_pause();
}

void leave(VThread* v, Commit commit) noexcept {
  Carrier* c = v->carrier;
  c->left = v;
  c->commit = commit;
  c->save = &v->context;
  if (__builtin_expect(v->exclusive, 0)) reserve(c, v);
  VThread* next = next_in_queue(c);
  if (next)
    take_over(c, next);
  else {
    __atomic_store_n(&c->running, (VThread*)nullptr, __ATOMIC_RELAXED);
    if (__builtin_expect(cpu_clocks_on.load(std::memory_order_relaxed), 0)) cpu_clock_switch(c, nullptr);
  }
  sys::FiberSwitch to(next ? &next->fiber : &c->loop_fiber, commit == Commit::kExit ? nullptr : &v->fiber);
  arrive(sys::jump_fcontext(next ? next->context : c->loop_context, c));
  if (__builtin_expect(swaps && v->loads_seen != static_tls_loads(), 0)) v->defer_once(Self::kTls);
  if (__builtin_expect(signals_wanted(v), 0)) v->defer_once(Self::kSignals);  // its section's end runs them
}

}  // namespace

void choose_mount() noexcept {
  backend = config.tls;
  bool fsgsbase = config.fsgsbase && sys::has_fsgsbase();
  if (backend == TlsBackend::kFsGsBase && !fsgsbase) {
    complain("VTSHIM_TLS=fsgsbase: this host lacks FSGSBASE; arch_prctl is used");
    backend = TlsBackend::kArchPrctl;
  }
  if (backend == TlsBackend::kSwap) {
    swaps = slots_allowed();
    if (!swaps) backend = TlsBackend::kAuto;
    if (swaps && config.pin == PinPolicy::kCallback) {
      complain("VTSHIM_PIN=callback: not with VTSHIM_TLS=swap; auto holds");
      config.pin = PinPolicy::kAuto;
    }
  }
  writes_fs = fsgsbase && backend != TlsBackend::kArchPrctl;
  if (backend == TlsBackend::kAuto) backend = fsgsbase ? TlsBackend::kFsGsBase : TlsBackend::kArchPrctl;
}

TlsBackend chosen_mount() noexcept { return backend; }

void arrive(sys::Transfer transfer) noexcept {
  auto* c = static_cast<Carrier*>(transfer.data);
  *c->save = transfer.fctx;
  finish_switch(c);
  // What came since the look in next_in_queue(): whoever runs now looks at the end of its section.
  if (__builtin_expect(c->attention.load(std::memory_order_relaxed), 0) && c->running) c->running->defer_once(Self::kAttention);
}

void resume(Carrier* c, VThread* v) noexcept {
  c->commit = Commit::kNone;
  c->save = &c->loop_context;
  take_over(c, v);
  sys::FiberSwitch to(&v->fiber, &c->loop_fiber);
  arrive(sys::jump_fcontext(v->context, c));
}

void park(ParkReason reason) noexcept {
  VThread* v = current();
  VT_ASSERT(v && v->depth > 0);
  if (config.chaos) chaos_delay(v);
  ++v->carrier->parks[(int)reason];
  State expected = State::kNotified;
  // acquire: pairs with the release in unpark()
  if (v->state.load(std::memory_order_relaxed) == State::kNotified &&
      v->state.compare_exchange_strong(expected, State::kRunning, std::memory_order_acquire, std::memory_order_relaxed))
    return;
  CallbackPin pin(v);
  leave(v, Commit::kPark);
}

void unpark(VThread* v, Carrier* here) noexcept {
  State s = v->state.load(std::memory_order_acquire);  // pairs with [park], as does a failed exchange below
  for (;;) {
    if (s == State::kParked) {
      v->state.store(State::kRunnable, std::memory_order_relaxed);  // there is one waker, and nobody else changes a parked thread's state
      Carrier* to = here && !here->is_blocking ? here : v->home;
      if (v->is_main || v->bound) to = v->home;
      else if (v->pins) to = v->carrier;
      else if (to && to->is_main && v->off_main_until > monitor_ticks() && v->home) to = v->home;
      else if (config.chaos) to = random_carrier(here ? here->random : v->random);
      return enqueue(v, to, here, true);
    }
    VT_CHECK(s == State::kRunning);  // else it's woken twice
    if (v->state.compare_exchange_weak(s, State::kNotified, std::memory_order_acq_rel)) return;
  }
}

void enqueue(VThread* v, Carrier* to, Carrier* here, bool woken) noexcept {
  if (!to || to->gone.load(std::memory_order_relaxed)) to = carrier_at(0);
  v->since.store(monitor_time(), std::memory_order_release);
  if (__builtin_expect(!is_open(to), 0) && !v->stays()) return offer(v);
  // seq_cst in there; pairs with the idle protocol in Carrier::run()
  if (woken && to == here && (to->running || (v->is_main && static_cast<MainThread*>(v)->hurries))) to->queue.push_woken(v);
  else to->queue.push(v);
  if (to->idle.load(std::memory_order_seq_cst)) {
    // Ourselves: it reaps at the end of its wait, and looks at the queue next.
    if (to == here) return to->idle.store(0, std::memory_order_relaxed);
    return carrier_wake(to);
  }
  if (__builtin_expect(to->gone.load(std::memory_order_seq_cst), 0)) return monitor_rescue();
  // Its carrier is busy. A parallel program gets another one at once; one with a GIL only when the monitor sees threads wait.
  if (steal_credit.quick() && (to != here || to->queue.size() > 1)) carrier_want_help();
  if (to->stuck.load(std::memory_order_relaxed)) carrier_want_help();
}

namespace {
/// It stays where it begins: where the fewest live, in turn.
Carrier* slot_for_new(Carrier* near) noexcept {
  static std::atomic<unsigned> turn{0};
  unsigned n = carrier_count(), first = n > 1 ? turn.fetch_add(1, std::memory_order_relaxed) : 0;
  Carrier* best = near;
  for (unsigned i = 0; i < n && n > 1; ++i) {
    Carrier* c = carrier_at((first + i) % n);
    if (i == 0 || c->residents.load(std::memory_order_relaxed) < best->residents.load(std::memory_order_relaxed)) best = c;
  }
  best->residents.fetch_add(1, std::memory_order_relaxed);
  return best;
}
}  // namespace

void schedule_new(VThread* v, Carrier* here) noexcept {
  v->state.store(State::kRunnable, std::memory_order_release);  // registry.cpp finds it from here on
  monitor_notice_soon();
  Carrier* to = here && !here->is_blocking ? here : nullptr;
  if (!to) to = carrier_at(0);
  if (swaps) to = slot_for_new(to);
  enqueue(v, to, here);
}

void yield_now() noexcept {
  RuntimeSection section;
  VThread* v = current();
  if (!has_carrier(v)) return;  // main, and the runtime has stopped meanwhile
  ++v->carrier->parks[(int)ParkReason::kYield];
  CallbackPin pin(v);
  leave(v, Commit::kYield);
}

void chaos_yield() noexcept {
  VThread* v = current();
  if (!v || v->depth || mustnt_park(v)) return;
  if (!v->random) v->random = config.chaos * 0x2545f4914f6cdd1d + v->slot;
  if ((next_random(v->random) & 3) == 0) yield_now();
}

uint32_t main_tick(const Carrier* to) noexcept { return to->is_main ? monitor_ticks() : RunQueue::kNotMain; }

namespace {
/// Finished I/O and timers of one that hasn't come to its loop for long.
void look_at_ring(Carrier* c) noexcept {
  if (c->reactor.in_flight() || c->reactor.has_unsubmitted()) c->reactor.poll(c);
  if (c->timers.next() != sys::kForever) c->timers.expire(sys::now(), c);
}
}  // namespace

// A thread that never waits, an event loop say, whose calls all find something, would keep the carrier until the monitor takes the others away, ms later,
// to where they wait for its GIL.
bool take_turns() noexcept {
  constexpr uint8_t kFewest = 8, kMost = 128;
  constexpr uint64_t kTurn = 100'000;  // ns
  {
    RuntimeSection section;
    Carrier* c = current()->carrier;
    uint64_t switches = c->switches.load(std::memory_order_relaxed);
    if (c->is_blocking || c->turn_seen != switches) {
      c->turn_seen = switches;
      c->turn_since = 0;
      c->calls_left = c->calls = kFewest;
      return true;
    }
    uint64_t now = sys::now();
    if (!c->turn_since) c->turn_since = now;
    bool early = now - c->turn_since < kTurn;
    if (early && c->calls < kMost) c->calls = (uint8_t)(2 * c->calls);  // short ones: the clock isn't asked so often
    c->calls_left = c->calls;
    if (early) return true;
    c->turn_since = now;
    c->calls_left = c->calls = kFewest;
    look_at_ring(c);
    if (c->queue.size() == 0) return true;
  }
  yield_now();
  return true;
}

void leave_for_ever() noexcept {
  pins_end(current());
  if (VThread* v = current(); __builtin_expect(v->blocks_carrier | v->looks_up, 0)) blocking_call_ends(v), look_up_end(v);
  event_loop_ends(current());
  leave(current(), Commit::kExit);
  __builtin_unreachable();
}

void eject(VThread* v, Carrier* to) noexcept {
  // Each time main is kept waiting for some ms: a thread that computes again and again stays away for ever longer.
  constexpr uint32_t kTicksOff = 50, kForgotten = 5000;
  constexpr uint8_t kMostTimes = 6;
  ++v->carrier->ejects;
  if (!to) return leave(v, Commit::kToBlocking);
  if (v->carrier->is_main && to != v->carrier) {
    uint32_t tick = monitor_ticks();
    if (tick > v->off_main_until + kForgotten) v->off_main_times = 0;
    v->off_main_until = tick + (kTicksOff << v->off_main_times);
    if (v->off_main_times < kMostTimes) ++v->off_main_times;
  }
  v->home = to;
  leave(v, Commit::kEject);
}

void move_to(VThread* v, Carrier* to) noexcept {
  v->home = to;
  leave(v, Commit::kEject);
}

void to_blocking_thread() noexcept { leave(current(), Commit::kToBlocking); }
void from_blocking_thread() noexcept {
  VThread* v = current();
  signal_take_pipe();  // what libc's own writes left there
  leave(v, Commit::kFromBlocking);
  if (v->is_main) main_signals_settle(static_cast<MainThread*>(v));
}

namespace {
/// For a reserved carrier: whoever can run nowhere else. Its ring and timers are looked after for all; what else is in the queue goes.
VThread* pick_staying(Carrier* c) noexcept {
  VThread* v = c->queue.pop_staying();
  if (!v) {
    c->reactor.reap(c);
    if (c->timers.next() != sys::kForever) c->timers.expire(sys::now(), c);
    v = c->queue.pop_staying();
  }
  hand_over(c);
  c->asked.store(0, std::memory_order_relaxed);  // it can't help
  return v;
}

unsigned wanted() noexcept { return steal_credit.quick() ? carrier_target() : 1; }

/// Who stands in for one that was stuck gives back what it has, once there are enough others that aren't: more OS threads than CPUs only
/// take them from each other, and each makes its own batches. Its threads follow one by one, as what they wait for comes.
void give_back(Carrier* c) noexcept {
  if (swaps) return;
  unsigned able = 0;
  Carrier* least = nullptr;
  for (unsigned i = 0; i < c->index; ++i) {
    Carrier* other = carrier_at(i);
    if (other->stuck.load(std::memory_order_relaxed) || !is_open(other)) continue;
    ++able;
    if (!least || other->queue.size() < least->queue.size()) least = other;
  }
  if (!least || able < wanted()) return;
  if (c->queue.move_all_to(least->queue, main_tick(least))) carrier_wake(least);
}

/// A carrier that always has work never steals: without this, threads in a short queue would have their turn more often than those in a
/// long one for as long as all of them stay runnable. Each kPollEvery switches a carrier looks at one other's queue, in turn.
void balance(Carrier* c) noexcept {
  unsigned n = carrier_count();
  if (n < 2 || swaps || !steal_credit.quick()) return;
  constexpr uint32_t kSlack = 8;
  Carrier* victim = carrier_at((c->index + 1 + c->ticks / kPollEvery % (n - 1)) % n);
  if (victim->queue.size() > 2 * c->queue.size() + kSlack) c->steals += victim->queue.steal_into(c->queue, main_tick(c));
  // The kernel gives carriers unlike shares of the CPUs where others compute, too: long queues mix, a thread at a time, and so all get alike.
  else if (victim->queue.size() > kSlack && c->queue.size() > kSlack) c->steals += victim->queue.steal_one_into(c->queue, main_tick(c));
}
}  // namespace

namespace {
uint64_t idle_time(const Carrier* c, uint64_t now) noexcept {
  uint64_t since = c->idles_since.load(std::memory_order_relaxed);
  return c->idled.load(std::memory_order_relaxed) + (since && since < now ? now - since : 0);
}
}  // namespace

VThread* pick(Carrier* c) noexcept {
  if (c->ticks % kPollEvery == 0) {
    if (is_open(c)) balance(c);
    ++c->ticks;
    look_at_ring(c);
  }
  if (__builtin_expect(!is_open(c), 0)) return pick_staying(c);
  if (__builtin_expect(common_queue.size(), 0)) common_queue.steal_into(c->queue);
  bool surplus = c->index >= wanted();
  if (__builtin_expect(surplus, 0)) give_back(c);
  if (VThread* v = c->queue.pop()) return v;
  c->reactor.reap(c);
  if (c->timers.next() != sys::kForever) c->timers.expire(sys::now(), c);
  if (__builtin_expect(surplus, 0)) give_back(c);
  if (VThread* v = c->queue.pop()) return v;

  bool asked = c->asked.load(std::memory_order_relaxed) && c->asked.exchange(0, std::memory_order_acquire);
  bool quick = steal_credit.quick();
  bool may_steal = !swaps && (asked || config.chaos || (quick && !surplus));
  unsigned n = carrier_count();
  for (unsigned i = 1; may_steal && i < n; ++i) {
    Carrier* victim = carrier_at((c->index + i) % n);
    if (victim->queue.size() == 0) continue;
    if (uint32_t got = quick ? victim->queue.steal_into(c->queue, main_tick(c)) : victim->queue.steal_one_into(c->queue, main_tick(c))) {
      c->steals += got;
      if (!c->helps_since) {
        steal_credit.helps();
        c->helps_since = sys::now();
        c->helped = victim;
        c->helped_idled = idle_time(victim, c->helps_since);
      }
      return c->queue.pop();
    }
  }
  if (c->helps_since) {
    uint64_t now = sys::now(), ns = now - c->helps_since, idled = idle_time(c->helped, now) - c->helped_idled;
    steal_credit.helped(ns > idled ? ns - idled : 0);
    c->helps_since = 0;
  }
  return nullptr;
}

}  // namespace vt
