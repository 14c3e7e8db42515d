// Time in nanoseconds of CLOCK_MONOTONIC, the runtime's only internal clock. Layer: sys. Any thread, signal safe.
#pragma once

#include <errno.h>
#include <stdint.h>
#include <time.h>

namespace vt::sys {

inline constexpr uint64_t kSecond = 1'000'000'000;
inline constexpr uint64_t kForever = UINT64_MAX;

inline bool valid(const timespec& t) noexcept { return t.tv_nsec >= 0 && t.tv_nsec < (long)kSecond; }

/// Saturates at kForever; negative times are 0.
inline uint64_t to_ns(const timespec& t) noexcept {
  if (t.tv_sec < 0) return 0;
  uint64_t ns;
  if (__builtin_mul_overflow((uint64_t)t.tv_sec, kSecond, &ns) || __builtin_add_overflow(ns, (uint64_t)t.tv_nsec, &ns))
    return kForever;
  return ns;
}
inline timespec to_timespec(uint64_t ns) noexcept { return {(time_t)(ns / kSecond), (long)(ns % kSecond)}; }

/// clock_gettime through the vDSO; it sets errno on failure only, and these clocks don't fail.
inline uint64_t now_on(clockid_t clock) noexcept {
  timespec t;
  clock_gettime(clock, &t);
  return to_ns(t);
}
inline uint64_t now() noexcept { return now_on(CLOCK_MONOTONIC); }

inline uint64_t add(uint64_t a, uint64_t b) noexcept { return a > kForever - b ? kForever : a + b; }

/// What is left until `deadline`; 0 when it has passed.
inline timespec time_until(uint64_t deadline) noexcept {
  uint64_t t = now();
  return to_timespec(deadline > t ? deadline - t : 0);
}
/// What is left of a time-out that began at `start`.
inline timespec time_left(uint64_t start, const timespec& timeout) noexcept { return time_until(add(start, to_ns(timeout))); }

/// A deadline on `clock` as one on CLOCK_MONOTONIC. Later steps of CLOCK_REALTIME aren't followed; a caller that must
/// wait for the clock's own time looks again when it wakes.
inline uint64_t to_monotonic(clockid_t clock, const timespec& deadline) noexcept {
  if (clock == CLOCK_MONOTONIC) return to_ns(deadline);
  uint64_t target = to_ns(deadline), current = now_on(clock);
  return target <= current ? 0 : add(now(), target - current);
}

}  // namespace vt::sys
