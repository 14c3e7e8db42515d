// Look-ups in libc's databases (names, users, services) block in ways that only libc knows, so each under way has an OS thread (core/blocking.h). Of very many at
// once most wait their turn, parked. One of them may wait for another, through a server in the same process, say: so where none ends for a while
// further ones begin, one at a time. Layer: core. Lock rank: kBucket.
#pragma once

namespace vt {

struct VThread;

/// The caller's turn has come; parks until then. False: it isn't counted, and needs no end. @thread vthread @parks @cancel if `cancellable`: it returns then
bool look_up_begin(bool cancellable) noexcept;
/// @thread as above; also at the end of a thread that a cancellation has unwound out of one
void look_up_end(VThread* v) noexcept;
void look_ups_after_fork() noexcept;

}  // namespace vt
