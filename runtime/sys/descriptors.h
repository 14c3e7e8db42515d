// Descriptors of our own stay out of the way of programs that count on the lowest free number. Layer: sys. Any thread, signal safe.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>

#include "sys/raw.h"

namespace vt::sys {

/// Moves fd to a high number and returns that, or fd itself where none is free. -errno passes through.
inline int move_up(int fd) noexcept {
  if (fd < 0) return fd;
  constexpr long kTop = 1024, kRoom = 128;  // not higher: the kernel's table has as many places as the highest number
  struct {
    unsigned long now, most;
  } limit{};
  raw(SYS_prlimit64, 0, RLIMIT_NOFILE, nullptr, &limit);
  long top = limit.now < (unsigned long)kTop ? (long)limit.now : kTop;
  long moved = raw(SYS_fcntl, fd, F_DUPFD_CLOEXEC, top > 2 * kRoom ? top - kRoom : top / 2);
  if (moved < 0) return fd;
  raw(SYS_close, fd);
  return (int)moved;
}

}  // namespace vt::sys
