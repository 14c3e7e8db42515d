// Is memory that a program names readable? Asked of the kernel without the risk of a fault. Layer: sys. Any thread, signal safe.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sys/raw.h"

namespace vt::sys {

constexpr uintptr_t kPageSize = 4096;

/// As the kernel would find it now; a system call for each page. What lies just above the caller's frame is taken to be its stack.
inline bool readable(const void* p, size_t size) noexcept {
  constexpr uintptr_t kOnStack = 16384;
  uintptr_t at = (uintptr_t)p, sp = (uintptr_t)__builtin_frame_address(0), end;
  if (__builtin_add_overflow(at, size, &end)) return false;
  if (at >= sp && end <= sp + kOnStack) return true;
  for (uintptr_t a = at & ~(uintptr_t)7; a < end; a = (a | (kPageSize - 1)) + 1)
    // No such way to change the mask, but the kernel reads the set first: EFAULT (14) or EINVAL. A null set isn't read.
    if (a == 0 || raw(SYS_rt_sigprocmask, ~0, a, nullptr, 8) == -14) return false;
  return true;
}

/// May all of it be written? Asked by changes that change nothing; what has no word of its own at an end isn't asked there.
inline bool writable(void* p, size_t size) noexcept {
  if (!readable(p, size)) return false;
  constexpr long kOrNothing = 2l << 28 | 2l << 24, kWakeOp = 5 | 128;  // FUTEX_OP(OP_OR, 0, CMP_LT, 0); FUTEX_WAKE_OP_PRIVATE
  uintptr_t sp = (uintptr_t)__builtin_frame_address(0), first = ((uintptr_t)p + 3) & ~(uintptr_t)3, end = (uintptr_t)p + size;
  if (first >= sp && end <= sp + 16384) return true;
  uint32_t nobodys = 0;
  for (uintptr_t a = first; a + 4 <= end; a = (a | (kPageSize - 1)) + 1)
    if (raw(SYS_futex, &nobodys, kWakeOp, 0, 0, a, kOrNothing) == -14) return false;
  return true;
}

}  // namespace vt::sys
