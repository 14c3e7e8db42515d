// What operations.cpp lends to the other files of io/. Layer: io. @thread vthread
#pragma once

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "api.h"
#include "core/main_thread.h"
#include "core/park_reason.h"

namespace vt {

/// Waits until fd is ready for `events`: what it is ready for, > 0; or -EAGAIN at the deadline, -EINTR, kGoNative. @parks
int wait_ready(int fd, short events, uint64_t deadline, ParkReason reason) noexcept;
bool is_ready(int fd, short events) noexcept;
/// What the reactor can't watch: poll(2) itself, on an OS thread that has nothing else to do. How many are ready, or -errno. @parks
int poll_in_person(pollfd* fds, unsigned count, uint64_t deadline) noexcept;
/// The kernel's own call, announced. The SIGPIPE that it may raise is taken while its OS thread is there. @parks
template <class Call>
ssize_t call_announced(Call&& call) noexcept {
  ssize_t r = 0;
  blocking([&] {
    r = call();
    if (r == -EPIPE) signal_take_pipe();
  });
  return r;
}
/// The same at a cancellation point: cancelled, it ends with -EINTR. @parks
template <class... A>
ssize_t call_blocking(long number, A... arguments) noexcept {
  main_call_begins(current());
  return blocking_system_call(true, number, {(long)arguments...});
}
/// The caller's memory, which may be none: false. What lies in his own stack costs no system call.
bool copy_in(void* to, const void* from, size_t size) noexcept;

}  // namespace vt
