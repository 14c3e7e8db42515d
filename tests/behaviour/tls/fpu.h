// The rounding mode of the calling thread, set and checked in both units (SSE's MXCSR and the x87 control word),
// without libm: fesetround(3) and fegetround(3) do the same.
#ifndef VTSHIM_TESTS_BEHAVIOUR_TLS_FPU_H
#define VTSHIM_TESTS_BEHAVIOUR_TLS_FPU_H

#include "../check.h"

#include <fenv.h>
#include <xmmintrin.h>

static inline void set_rounding(int mode) {
  unsigned short control;
  __asm__ volatile("fnstcw %0" : "=m"(control));
  control = (unsigned short)((control & ~0xc00) | mode);
  __asm__ volatile("fldcw %0" : : "m"(control));
  _mm_setcsr((_mm_getcsr() & ~0x6000u) | (unsigned)mode << 3);
}

static inline void check_rounding(int mode) {
  unsigned short control;
  __asm__ volatile("fnstcw %0" : "=m"(control));
  CHECK_EQ(control & 0xc00, mode);
  CHECK_EQ(_mm_getcsr() & 0x6000u, mode << 3);
}

#endif  // VTSHIM_TESTS_BEHAVIOUR_TLS_FPU_H
