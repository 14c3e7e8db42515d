// Raw system calls: they return -errno and touch neither errno nor the thread area, so the scheduler
// may use them on whichever thread area is mounted. Layer: sys. Any thread, signal safe.
#pragma once

#include <sys/syscall.h>

namespace vt::sys {

template <class... A>
inline long raw(long number, A... args) noexcept {
  static_assert(sizeof...(A) <= 6);
  const long v[6] = {(long)args...};
  register long r10 asm("r10") = v[3];
  register long r8 asm("r8") = v[4];
  register long r9 asm("r9") = v[5];
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(v[0]), "S"(v[1]), "d"(v[2]), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

}  // namespace vt::sys
