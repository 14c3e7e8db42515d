#include "sys/stoppable.h"

#include <errno.h>

namespace vt::sys {

/// Not to be copied: the labels are there once.
__attribute__((noipa)) long stoppable_call(const bool* stop, long number, const long (&arguments)[6]) noexcept {
  // Read before the registers are spoken for: a sanitizer calls functions at each.
  const long a0 = arguments[0], a1 = arguments[1], a2 = arguments[2], a3 = arguments[3], a4 = arguments[4], a5 = arguments[5];
  register long r10 asm("r10") = a3;
  register long r8 asm("r8") = a4;
  register long r9 asm("r9") = a5;
  long result;
  asm volatile(
      ".globl vt_stoppable_looks, vt_stoppable_enters, vt_stoppable_stops\n"
      ".hidden vt_stoppable_looks, vt_stoppable_enters, vt_stoppable_stops\n"
      "vt_stoppable_looks:\n"
      "  cmpb $0, (%[stop])\n"
      "  jne vt_stoppable_stops\n"
      "  mov %%rbx, %%rax\n"  // where a handler finds the number, should it have to set the call back
      "vt_stoppable_enters:\n"
      "  syscall\n"
      "  jmp 2f\n"
      "vt_stoppable_stops:\n"
      "  mov %[stopped], %%rax\n"
      "2:\n"
      : "=a"(result)
      : "b"(number), "D"(a0), "S"(a1), "d"(a2), "r"(r10), "r"(r8), "r"(r9), [stop] "r"(stop), [stopped] "i"(-EINTR)
      : "rcx", "r11", "memory", "cc");
  return result;
}

}  // namespace vt::sys
