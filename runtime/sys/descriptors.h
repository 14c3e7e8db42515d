// Descriptors of our own stay out of the way of programs that count on the lowest free number, and of those that close all that there
// may be (daemons, closefrom(3)). Layer: sys. Any thread, signal safe.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/resource.h>

#include <atomic>

#include "sys/raw.h"

namespace vt::sys {

constexpr int kOwnBits = 8192;  // those above aren't protected
inline std::atomic<uint64_t> own_bits[kOwnBits / 64];

inline void own(int fd, bool is) noexcept {
  if ((unsigned)fd >= (unsigned)kOwnBits) return;
  uint64_t bit = 1ull << (fd % 64);
  if (is) own_bits[fd / 64].fetch_or(bit, std::memory_order_relaxed);
  else own_bits[fd / 64].fetch_and(~bit, std::memory_order_relaxed);
}
inline bool is_own(int fd) noexcept {
  return (unsigned)fd < (unsigned)kOwnBits && (own_bits[fd / 64].load(std::memory_order_relaxed) >> (fd % 64) & 1);
}
/// The lowest of ours from `fd` on; -1: none.
inline int next_own(unsigned fd) noexcept {
  for (; fd < (unsigned)kOwnBits; fd = (fd | 63) + 1)
    if (uint64_t left = own_bits[fd / 64].load(std::memory_order_relaxed) >> (fd % 64)) return (int)fd + __builtin_ctzll(left);
  return -1;
}
inline void close_own(int fd) noexcept {
  own(fd, false);
  raw(SYS_close, fd);
}

/// Moves fd to a high number and returns that: ours from now on. Where none is free, not even in the upper half of what RLIMIT_NOFILE allows, fd stays
/// what it was and is returned if it's `needed`; else -EMFILE: the rest is the program's. -errno passes through.
inline int move_up(int fd, bool needed) noexcept {
  if (fd < 0) return fd;
  constexpr long kTop = 1024, kRoom = 128;  // not higher: the kernel's table has as many places as the highest number
  struct {
    unsigned long now, most;
  } limit{};
  raw(SYS_prlimit64, 0, RLIMIT_NOFILE, nullptr, &limit);
  long top = limit.now < (unsigned long)kTop ? (long)limit.now : kTop;
  long moved = raw(SYS_fcntl, fd, F_DUPFD_CLOEXEC, top > 2 * kRoom ? top - kRoom : top / 2);
  if (moved < 0 && top > 2 * kRoom) moved = raw(SYS_fcntl, fd, F_DUPFD_CLOEXEC, top / 2);
  if (moved >= 0) raw(SYS_close, fd);
  else if (needed) moved = fd;
  else return -EMFILE;
  own((int)moved, true);
  return (int)moved;
}

}  // namespace vt::sys
