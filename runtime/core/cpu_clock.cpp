#include "core/cpu_clock.h"

#include <errno.h>
#include <time.h>

#include "api.h"
#include "core/carrier.h"
#include "core/registry.h"
#include "core/scheduler.h"
#include "core/unit_pool.h"
#include "sys/clock.h"
#include "sys/raw.h"

namespace vt {

std::atomic<bool> cpu_clocks_on{false};

namespace {

// The kernel's ids of CPU clocks are negative, with what they are in the low three bits; 7 means nothing there.
constexpr unsigned kOurs = 7, kKindBits = 3;
constexpr unsigned kSign = 1u << 31;

uint64_t os_cpu_time() noexcept {
  timespec t{};
  sys::raw(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &t);
  return sys::to_ns(t);
}

uint64_t cpu_time_of(VThread* v) noexcept {
  RuntimeSection section;
  if (!cpu_clocks_on.exchange(true, std::memory_order_relaxed)) cpu_clock_switch(carrier_here(), current());
  if (v == current()) cpu_clock_switch(v->carrier, v);
  return v->cpu_time.load(std::memory_order_relaxed);
}

}  // namespace

void cpu_clock_switch(Carrier* c, VThread* next) noexcept {
  if (!c) return;
  uint64_t now = os_cpu_time();
  if (VThread* v = c->cpu_clocked) v->cpu_time.store(v->cpu_time.load(std::memory_order_relaxed) + now - c->cpu_clock_at, std::memory_order_relaxed);
  c->cpu_clocked = next;
  c->cpu_clock_at = now;
}

// ---------------------------------------------------------------- api.h

int thread_cpu_clock(pthread_t thread, clockid_t* clock) noexcept {
  VThread* v = vthread_of((char*)thread);
  if (__atomic_load_n(&v->done, __ATOMIC_RELAXED)) return -ESRCH;
  *clock = (clockid_t)(kSign | v->slot << kKindBits | kOurs);
  return 0;
}

int clock_of_thread(clockid_t clock, timespec* time) noexcept {
  VThread* v = nullptr;
  if (clock == CLOCK_THREAD_CPUTIME_ID) {
    v = current();
    if (!v || v->is_main) return kNotVirtual;
  } else {
    if (clock >= 0 || ((unsigned)clock & kOurs) != kOurs) return kNotVirtual;
    v = registry_at(((unsigned)clock & ~kSign) >> kKindBits);
    if (!v || v->state.load(std::memory_order_acquire) == State::kFree) return -EINVAL;
  }
  if (time) *time = sys::to_timespec(cpu_time_of(v));
  return 0;
}

}  // namespace vt
