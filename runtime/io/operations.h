// What the files of io/ share: what is known of a descriptor, and the wait for its readiness. Layer: io. @thread vthread
#pragma once

#include <stdint.h>

#include "core/park_reason.h"

namespace vt {

/// Would a call on it return at once, whatever there is? True also for what is no descriptor: the call itself says so.
bool is_nonblocking(int fd) noexcept;
/// What SO_RCVTIMEO or SO_SNDTIMEO says, as a deadline.
uint64_t socket_deadline(int fd, int option) noexcept;
/// Waits until fd is ready for `events`: what it is ready for, > 0; or -EAGAIN at the deadline, -EINTR, kGoNative. @parks
int wait_ready(int fd, short events, uint64_t deadline, ParkReason reason) noexcept;

}  // namespace vt
