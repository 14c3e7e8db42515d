// Boot, lazy start, fork. Layer: core.
#pragma once

#include <stdint.h>

namespace vt {

/// Starts the first carrier and the monitor unless they run. False: they can't be had (one line has said why), and
/// threads are native from now on. @thread any in user context
bool runtime_start() noexcept;

/// The last virtual thread has ended long ago: everything that was started ends, but for the caller. False if something is still going
/// on. @thread monitor, which ends after it
bool runtime_stop() noexcept;

/// No virtual thread has ever been in this process: a pthread_t can only be a platform thread's.
bool phase_never_ran() noexcept;

/// Virtual threads that haven't ended.
uint64_t live_threads() noexcept;
/// All that there ever were.
uint64_t created_threads() noexcept;
/// The same, of this process: not those before the fork that made it.
uint64_t threads_here() noexcept;
void count_thread(int change) noexcept;

}  // namespace vt
