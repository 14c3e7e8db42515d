// The monitor: the one thread that sees carriers from outside. First form: where a carrier hasn't switched for a tick while
// something waits for it, it kicks the carrier to reap its finished I/O, fires its timers, and gets another carrier
// for its queue. Layer: core. @thread its own, a platform thread
#pragma once

#include <stdint.h>

namespace vt {

/// 0 or an error number.
int monitor_start() noexcept;
/// A carrier leaves its idle wait: the monitor must not sleep for ever now. Cheap. @thread scheduler @signal safe
void monitor_notice() noexcept;
/// Counts while anything runs; about one each 2 ms. @signal safe
uint32_t monitor_ticks() noexcept;
/// Something was given to a carrier that has left. @thread any @signal safe
void monitor_rescue() noexcept;
/// One more carrier, please. @thread any @signal safe
void monitor_request_carrier() noexcept;
/// The main thread has called pthread_exit: the process ends with its last thread.
void monitor_main_exited() noexcept;
void monitor_after_fork() noexcept;

}  // namespace vt
