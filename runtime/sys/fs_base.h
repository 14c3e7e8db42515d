// The thread pointer (FS base): reading it, and mounting a thread area by one of the back ends. Layer: sys.
#pragma once

#include <asm/prctl.h>
#include <stdint.h>
#include <sys/auxv.h>

#include "sys/raw.h"

namespace vt::sys {

/// The thread pointer; x86-64's ABI keeps a copy of it at its own address.
inline char* thread_pointer() noexcept {
  char* tp;
  asm volatile("movq %%fs:0, %0" : "=r"(tp));
  return tp;
}
template <class T>
inline T read_fs(long offset) noexcept {
  T value;
  if constexpr (sizeof(T) == 8)
    asm volatile("movq %%fs:(%1), %0" : "=r"(value) : "r"(offset));
  else
    asm volatile("movl %%fs:(%1), %0" : "=r"(value) : "r"(offset));
  return value;
}

/// x86-64's tcbhead_t: where libc finds the calling thread's descriptor, pthread_self().
inline constexpr long kSelfOffset = 16;

/// May user code write FS? The kernel says so in AT_HWCAP2 bit 1.
inline bool has_fsgsbase() noexcept { return getauxval(AT_HWCAP2) & 2; }

inline void mount_arch_prctl(char* tp) noexcept { raw(SYS_arch_prctl, ARCH_SET_FS, tp); }
inline void mount_fsgsbase(char* tp) noexcept { asm volatile("wrfsbase %0" : : "r"(tp) : "memory"); }

}  // namespace vt::sys
