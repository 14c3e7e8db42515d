#include "core/starter.h"

#include <errno.h>

#include <atomic>

#include "base/log.h"
#include "core/blocking.h"
#include "core/carrier.h"
#include "core/monitor.h"
#include "core/os_thread.h"
#include "sys/clock.h"
#include "sys/futex.h"

namespace vt {
namespace {

//   kIdle      waits for its bell              itself: kBusy; the monitor: kPaused
//   kBusy      starts what was asked for       itself: kIdle
//   kPaused    waits; nothing is started       the monitor: kIdle, or kEnded
//   kEnded     there is none                   who starts the runtime: kIdle, with the next number
// The number, above these bits, tells a starter that it was its successor's state that it saw.
enum : uint64_t { kIdle, kBusy, kPaused, kEnded, kStates };
std::atomic<uint64_t> state{kEnded};
std::atomic<uint32_t> bell{0};              // futex
std::atomic<uint64_t> asked_since{0};       // ns; 0: nothing is asked for
std::atomic<bool> carrier_asked{false};
std::atomic<uint64_t> carrier_refused{0};   // ns: until then
std::atomic<int> carrier_error{0};

uint64_t with(uint64_t number, uint64_t s) noexcept { return number * kStates + s; }
uint64_t number() noexcept { return state.load(std::memory_order_relaxed) / kStates; }

void ring() noexcept {
  bell.fetch_add(1, std::memory_order_release);  // what was asked for comes before; pairs with the acquire in run()
  sys::futex_wake(&bell, 1);
}

/// True if there was something to do.
bool start_asked_carrier() noexcept {
  if (!carrier_asked.load(std::memory_order_acquire)) return false;  // pairs with the asker's release [asked]
  int r = carrier_start();
  static unsigned failures = 0;  // one line, until it works again; not at the first, which may be an exec's doing
  if (r == 0) {
    failures = 0;
  } else {
    carrier_error.store(r, std::memory_order_relaxed);
    carrier_refused.store(sys::now() + kRefusal, std::memory_order_relaxed);
    if (++failures == 2) VT_LOG(kWarn, "no further carrier can be started: %s; %u run", ErrorText(-r).text(), carrier_count());
  }
  carrier_asked.store(false, std::memory_order_release);  // who asked meanwhile meant this one
  if (r == 0) carrier_want_help();
  return true;
}

void* run(void* argument) noexcept {
  auto mine = (uint64_t)(uintptr_t)argument;
  os_thread_prepare(nullptr, "vtshim-starter");
  for (;;) {
    uint32_t seen = bell.load(std::memory_order_acquire);
    uint64_t expected = with(mine, kIdle);
    if (state.compare_exchange_strong(expected, with(mine, kBusy), std::memory_order_acq_rel)) {
      bool some = blocking_start_asked();
      some |= carriers_renew_asked();
      some |= start_asked_carrier();
      asked_since.store(0, std::memory_order_relaxed);
      state.store(with(mine, kIdle), std::memory_order_release);
      if (some) monitor_rescue();
    } else if (expected != with(mine, kPaused)) {
      return nullptr;
    }
    sys::futex_wait(&bell, seen);
  }
}

}  // namespace

int starter_start() noexcept {
  uint64_t mine = number() + 1;
  asked_since.store(0, std::memory_order_relaxed);
  state.store(with(mine, kIdle), std::memory_order_release);
  int r = os_thread_start(nullptr, run, (void*)(uintptr_t)mine);
  if (r) state.store(with(mine, kEnded), std::memory_order_release);
  return r;
}

int starter_ask_carrier() noexcept {
  if (carrier_count() >= carrier_limit()) return -EAGAIN;
  if (sys::now() < carrier_refused.load(std::memory_order_relaxed)) return carrier_error.load(std::memory_order_relaxed);
  if (starter_is_held_up(kMonitorsPatience)) return -EBUSY;
  carrier_asked.store(true, std::memory_order_release);  // [asked]
  starter_notice();
  return 0;
}

void starter_notice() noexcept {
  uint64_t none = 0;
  asked_since.compare_exchange_strong(none, sys::now(), std::memory_order_relaxed);
  ring();
}

bool starter_is_held_up(uint64_t patience) noexcept {
  uint64_t since = asked_since.load(std::memory_order_relaxed), now = sys::now();
  return since && since < now && now - since > patience;
}

bool starter_pause() noexcept {
  uint64_t expected = with(number(), kIdle);
  return state.compare_exchange_strong(expected, with(number(), kPaused), std::memory_order_acq_rel);
}
void starter_resume() noexcept {
  state.store(with(number(), kIdle), std::memory_order_release);
  ring();  // for what was asked for meanwhile
}
void starter_end() noexcept {
  state.store(with(number(), kEnded), std::memory_order_release);
  ring();
}

void starter_after_fork() noexcept {
  state.store(with(number(), kEnded), std::memory_order_relaxed);
  asked_since.store(0, std::memory_order_relaxed);
  carrier_asked.store(false, std::memory_order_relaxed);
  carrier_refused.store(0, std::memory_order_relaxed);
}

}  // namespace vt
