// The OS thread that starts the others. malloc and glibc's pthread_create wait for locks, an arena's, say, or ld.so's, and a virtual thread may
// hold one that is ready to run and for whom there is no OS thread. So who must get on for everybody, the monitor first of all, asks for an OS thread and
// doesn't wait; while the starter is held up by such a lock the others do without. Layer: core. @thread its own, a platform thread
#pragma once

#include <stdint.h>

namespace vt {

/// 0 or an error number. @thread platform, while there is no carrier
int starter_start() noexcept;

/// One more carrier, please: 0, and the monitor's bell rings when it is there. -EBUSY: the starter is held up (kMonitorsPatience). Else -errno: it can't be had now.
/// @thread any @signal safe
int starter_ask_carrier() noexcept;

/// There is something else to start (blocking_start_asked, carriers_renew_asked). @thread any @signal safe
void starter_notice() noexcept;
/// ns: what couldn't be had isn't tried for again before that.
inline constexpr uint64_t kRefusal = 2'000'000;
/// It has owed an answer for `patience` ns: the monitor's, or that of a thread that gives way to others meanwhile. @thread any @signal safe
inline constexpr uint64_t kMonitorsPatience = 4'000'000, kThreadsPatience = 1'000'000'000;
bool starter_is_held_up(uint64_t patience) noexcept;

/// It does nothing, and begins nothing, until resumed. False: it is at work. @thread monitor
bool starter_pause() noexcept;
void starter_resume() noexcept;
/// Once paused: it ends. @thread as starter_pause
void starter_end() noexcept;
void starter_after_fork() noexcept;

}  // namespace vt
