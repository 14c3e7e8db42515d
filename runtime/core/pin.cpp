#include "core/pin.h"

#include <errno.h>
#include <unistd.h>

#include "api.h"
#include "base/config.h"
#include "base/log.h"
#include "core/main_thread.h"
#include "core/monitor.h"
#include "core/scheduler.h"
#include "core/slot.h"
#include "core/starter.h"
#include "sys/clock.h"

extern "C" __attribute__((visibility("hidden"))) char __ehdr_start, etext;  // the linker's: where our own code lies

namespace vt {

RunQueue common_queue;
std::atomic<bool> pins_give_way{false};

namespace {

std::atomic<int (*)()> callback_hook{nullptr};
constexpr uint64_t kPatience = sys::kSecond;    // with the lack of a carrier to be pinned to
constexpr uint64_t kRenewEvery = sys::kSecond;  // between tries to get an OS thread for a carrier
uint32_t main_pins = 0;  // main's, virtual or not; only the main OS thread's

// ---------------------------------------------------------------- who holds it, for VTSHIM_PIN_WARN
// The owner writes what and whom, then `since`; the monitor reads `since`, the rest, and `since` again.

int trace(void** frames, int limit) noexcept {
  struct Out {
    void** frames;
    int used, limit;
  } out{frames, 0, limit};
  backtrace_visit(
      [](uintptr_t pc, uintptr_t, void* arg) {
        auto* o = static_cast<Out*>(arg);
        if (pc >= (uintptr_t)&__ehdr_start && pc < (uintptr_t)&etext) return true;  // our own
        o->frames[o->used++] = (void*)pc;
        return o->used < o->limit;
      },
      &out);
  return out.used;
}

void note_pin(Carrier* c, VThread* v) noexcept {
  if (__builtin_expect(!config.pin_warn, 1)) return;
  PinNote& note = c->pin_note;
  note.since.store(0, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  note.thread = v;
  note.frame_count = trace(note.frames, PinNote::kFrames);
  note.warned = false;
  note.since.store(sys::now(), std::memory_order_release);  // pairs with warn()
}
void forget_pin(Carrier* c) noexcept {
  if (__builtin_expect(c->pin_note.since.load(std::memory_order_relaxed) != 0, 0)) c->pin_note.since.store(0, std::memory_order_relaxed);
}

/// True if it may have to be warned of later.
bool warn(Carrier* c, uint64_t now) noexcept {
  PinNote& note = c->pin_note;
  uint64_t since = note.since.load(std::memory_order_acquire);
  if (!since || note.warned) return false;
  if (now < since || now - since < config.pin_warn * 1'000'000) return true;
  char name[16];
  void* frames[PinNote::kFrames];
  note.thread->get_name(name);
  int count = note.frame_count;
  __builtin_memcpy(frames, note.frames, sizeof frames);
  std::atomic_thread_fence(std::memory_order_acquire);
  if (note.since.load(std::memory_order_relaxed) != since) return true;
  note.warned = true;  // the monitor's, but for the owner's reset before `since`
  char text[PinNote::kFrames * 20 + 1];
  size_t used = 0;
  text[0] = 0;
  for (int i = 0; i < count; ++i) used += print_into(text + used, sizeof text - used, " %p", frames[i]);
  complain("thread %s has been pinned for %lu ms; pinned from%s", name, (now - since) / 1'000'000, text);
  return false;
}

void add_pin(VThread* v) noexcept {
  ++v->pins;
  if (v->exclusive++) return;
  ++v->carrier->pins;
  note_pin(v->carrier, v);
}
void drop_pin(VThread* v) noexcept {
  --v->pins;
  if (--v->exclusive == 0) forget_pin(v->carrier);
}

// ---------------------------------------------------------------- a carrier to be pinned to

/// Not carrier 0, which is main's: main could not run while somebody else has it. One that runs nobody; if no other is to come, the one with the least to do.
/// Null: there is none, or none yet (`later`).
Carrier* carrier_to_settle_on(bool* later) noexcept {
  Carrier* best = nullptr;
  *later = false;
  for (unsigned i = 0, n = carrier_count(); i < n; ++i) {
    Carrier* c = carrier_at(i);
    if (c->is_main || !is_open(c)) continue;
    if (c->stuck.load(std::memory_order_relaxed)) {
      *later = true;
      continue;
    }
    if (!__atomic_load_n(&c->running, __ATOMIC_RELAXED) && c->queue.size() == 0) return c;
    if (!best || c->queue.size() < best->queue.size()) best = c;
  }
  int r = starter_ask_carrier();
  if (r == 0) best = nullptr;
  *later |= r == 0 || r == -EBUSY;
  return best;
}

/// To a carrier that it may be pinned to. In a section. @parks
int settle(VThread* v) noexcept {
  for (uint64_t since = sys::now();;) {
    Carrier* c = v->carrier;
    // Reserved for another: we are only here because we were on our way somewhere.
    if (!c->is_main && !c->is_blocking && c->reserved.load(std::memory_order_relaxed) == 0) return 0;
    if (v->pins) return -EBUSY;  // inside a handler that must not move
    bool later;
    Carrier* to = carrier_to_settle_on(&later);
    if (sys::now() - since > kPatience || (!to && !later)) return -EAGAIN;
    if (!to) {
      yield_now();
      continue;
    }
    // Not pinned on the way: somebody else may be pinned there for ever meanwhile. Any other will do then, but main's.
    v->off_main_until = RunQueue::kNotMain;
    move_to(v, to);
    v->off_main_until = 0;
  }
}

}  // namespace

unsigned open_carriers() noexcept {
  unsigned open = 0;
  for (unsigned i = 0, n = carrier_count(); i < n; ++i) open += is_open(carrier_at(i));
  return open;
}

// ---------------------------------------------------------------- reservation

void reserve(Carrier* c, VThread* v) noexcept {
  v->reserves = true;
  ++c->pinned_parks;
  c->reserved.store(c->reserved.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst);
  hand_over(c);
}

void unreserve(Carrier* c, VThread* v) noexcept {
  if (!v->reserves) return;
  v->reserves = false;
  c->reserved.store(c->reserved.load(std::memory_order_relaxed) - 1, std::memory_order_seq_cst);
}

void hand_over(Carrier* c) noexcept {
  if (c->queue.size()) c->queue.move_all_to(common_queue);
  if (common_queue.size()) wake_for_common();
}

void offer(VThread* v) noexcept {
  common_queue.push(v);
  wake_for_common();
}

void wake_for_common() noexcept {
  unsigned open = 0, n = carrier_count();
  for (unsigned i = 0; i < n; ++i) {
    Carrier* c = carrier_at(i);
    if (!is_open(c) || c->gone.load(std::memory_order_seq_cst)) continue;
    if (c->idle.load(std::memory_order_seq_cst)) return carrier_wake(c);
    ++open;
  }
  // Busy ones come past the common queue with their next switch.
  if (!open || (steal_credit.quick() && open < carrier_target())) monitor_request_carrier();
}

Carrier* block_pinned(VThread* v) noexcept {
  Carrier* c = v->carrier;
  c->reserved.store(c->reserved.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst);
  if (c->reactor.in_flight()) {  // others': it starts again elsewhere
    c->reactor.cancel_all();
    c->reactor.poll(c);
  }
  hand_over(c);
  return c;
}
void unblock_pinned(Carrier* c) noexcept {
  c->reserved.store(c->reserved.load(std::memory_order_relaxed) - 1, std::memory_order_seq_cst);
}

// ---------------------------------------------------------------- api.h

int pin() noexcept { return config.pin == PinPolicy::kNone ? 0 : pin_always(); }
int unpin() noexcept { return config.pin == PinPolicy::kNone ? 0 : unpin_always(); }

namespace {
int refuse_on_slot() noexcept {
  static std::atomic<bool> told{false};
  if (!told.exchange(true))
    complain("VTSHIM_TLS=swap: no thread can have an OS thread to itself (pins, namespaces, robust and priority-inheriting mutexes); the call fails");
  return -ENOTSUP;
}
}  // namespace

int pin_always() noexcept {
  VThread* v = current();
  if (v && swaps) return refuse_on_slot();
  if (!v || v->is_main) {
    if (getpid() == (pid_t)sys::raw(SYS_gettid)) ++main_pins;
    if (!v) return 0;
  }
  RuntimeSection section;
  if (!v->exclusive && !v->is_main)
    if (int r = settle(v); r < 0) return r;
  add_pin(v);
  return 0;
}

int unpin_always() noexcept {
  VThread* v = current();
  if (!v || v->is_main) {
    if (getpid() == (pid_t)sys::raw(SYS_gettid)) {
      if (!main_pins) return -EINVAL;
      --main_pins;
    }
    if (!v) return 0;
  }
  if (v->exclusive <= (uint32_t)v->spoils) return -EINVAL;
  RuntimeSection section;
  drop_pin(v);
  return 0;
}

void pin_for_good() noexcept {
  VThread* v = current();
  if (v && v->exclusive) v->spoils = true;
}

void pins_of_main(VThread* main) noexcept {
  // By the rule of `callback`, carrier 0 is main's alone: who has C frames below a Python callback can't be moved off it any more.
  if (swaps) return;
  uint32_t n = main_pins + (config.pin == PinPolicy::kCallback);
  for (uint32_t i = 0; i < n; ++i) add_pin(main);
}

void pins_end(VThread* v) noexcept {
  if (!v->exclusive) return;
  Carrier* c = v->carrier;
  forget_pin(c);
  v->pins = v->exclusive = 0;
  for (; v->pinned_calls; --v->pinned_calls) unblock_pinned(c);  // that a cancellation has unwound
  if (!v->spoils) return;
  c->fitness.store(Fitness::kSpoilt, std::memory_order_relaxed);
  c->is_boxed = v->boxed;
  if (!v->boxed) c->reserved.store(c->reserved.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst);
  hand_over(c);
}

void box() noexcept {
  VThread* v = current();
  if (!v || v->boxed || !v->exclusive) return;  // VTSHIM_PIN=none
  RuntimeSection section;
  v->boxed = true;
  Carrier* c = block_pinned(v);
  for (; c->reactor.in_flight(); c->reactor.poll(c)) sys::raw(SYS_sched_yield);  // nothing can be taken from the ring later
}
void unbox() noexcept {
  VThread* v = current();
  if (!v || !v->boxed) return;
  RuntimeSection section;
  v->boxed = false;
  unblock_pinned(v->carrier);
}

// ---------------------------------------------------------------- callbacks

void set_callback_hook(int (*hook)()) noexcept { callback_hook.store(hook, std::memory_order_release); }
bool pins_callbacks() noexcept { return config.pin == PinPolicy::kCallback; }

bool CallbackPin::wanted() noexcept { return callback_hook.load(std::memory_order_relaxed) != nullptr; }
bool CallbackPin::ask(VThread* v) noexcept {
  if (config.pin != PinPolicy::kCallback || v->exclusive || v->is_main || v->carrier->is_blocking || v->carrier->is_main) return false;
  if (!callback_hook.load(std::memory_order_acquire)()) return false;
  add_pin(v);
  return true;
}
void CallbackPin::end() noexcept { drop_pin(v_); }

bool pinned_now(VThread* v) noexcept {
  if (v->pins) return true;
  if (config.pin != PinPolicy::kCallback) return false;
  auto hook = callback_hook.load(std::memory_order_acquire);
  return hook && hook();
}

// ---------------------------------------------------------------- the monitor's part

bool pins_look(uint64_t now) noexcept {
  unsigned able = 0, really_open = 0;
  bool again = false;
  Carrier* idle = nullptr;
  for (unsigned i = 0, n = carrier_count(); i < n; ++i) {
    Carrier* c = carrier_at(i);
    again |= warn(c, now);
    if (c->fitness.load(std::memory_order_acquire) == Fitness::kEnded) {  // [renew]
      if (c->renewed_at + kRenewEvery <= now) {
        c->renewed_at = now;
        carrier_renew(c);
      }
      again = true;
      continue;
    }
    if (c->reserved.load(std::memory_order_relaxed) == 0) ++really_open;
    if (!is_open(c)) continue;
    if (!c->stuck.load(std::memory_order_relaxed)) ++able;
    if (c->idle.load(std::memory_order_relaxed)) idle = c;
  }
  if (common_queue.size() == 0) {
    if (really_open) pins_give_way.store(false, std::memory_order_relaxed);
    return again;
  }
  if (idle) {
    carrier_wake(idle);
  } else if (!able) {
    if (int r = starter_ask_carrier(); r < 0 && r != -EBUSY && !really_open && !pins_give_way.exchange(true, std::memory_order_seq_cst)) {
      static bool told = false;
      if (!told)
        complain("no further OS thread can be had (%s; %u carriers): pinned threads share theirs at times", ErrorText(-r).text(), carrier_count());
      told = true;
      for (unsigned i = 0, n = carrier_count(); i < n; ++i) carrier_wake(carrier_at(i));
    }
  }
  return true;
}

void pins_after_fork(VThread* caller) noexcept {
  if (caller && !caller->is_main) main_pins = caller->exclusive;  // it is the main thread now
  common_queue.reset();
  pins_give_way.store(false, std::memory_order_relaxed);
}

}  // namespace vt
