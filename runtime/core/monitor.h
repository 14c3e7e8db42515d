// The monitor: the one thread that sees carriers from outside. Where a carrier hasn't switched for a tick while something waits for
// it, it fires the carrier's timers, kicks it to reap its finished I/O, ejects its thread or gets another carrier for its queue; it lets surplus
// carriers leave, and everything once there are no threads. Layer: core. @thread its own, a platform thread
#pragma once

#include <stdint.h>

#include <atomic>

namespace vt {

/// 0 or an error number.
int monitor_start() noexcept;
/// A carrier leaves its idle wait: the monitor must not sleep for ever now. Cheap. @thread scheduler @signal safe
void monitor_notice() noexcept;
/// Its OS thread.
pid_t monitor_os_tid() noexcept;
/// Counts while anything runs; about one each 2 ms. @signal safe
uint32_t monitor_ticks() noexcept;
/// The time of its last look, ns of CLOCK_MONOTONIC: 5 ms old at the most while anything runs. For what people read. @signal safe
extern std::atomic<uint64_t> monitor_clock;
inline uint64_t monitor_time() noexcept { return monitor_clock.load(std::memory_order_relaxed); }
/// As monitor_notice(), for who makes threads: a load, and it may be missed in a race, until a carrier next leaves its idle wait. @signal safe
extern std::atomic<uint32_t> monitor_asleep;
inline void monitor_notice_soon() noexcept {
  if (__builtin_expect(monitor_asleep.load(std::memory_order_relaxed), 0)) monitor_notice();
}
/// Something was given to a carrier that has left. @thread any @signal safe
void monitor_rescue() noexcept;
/// One more carrier, please. @thread any @signal safe
void monitor_request_carrier() noexcept;
/// The main thread has called pthread_exit: the process ends with its last thread.
void monitor_main_exited() noexcept;
void monitor_after_fork() noexcept;

}  // namespace vt
