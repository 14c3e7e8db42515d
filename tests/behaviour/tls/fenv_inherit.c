// pthread_create(3): the new thread inherits the calling thread's floating-point environment (fenv(3)): rounding mode
// and, in MXCSR, flush-to-zero; its own changes stay its own, and don't leak into threads on recycled stacks.
#include "fpu.h"

#include <sched.h>

static void* change(void* arg) {
  check_rounding((int)(long)arg);
  set_rounding(FE_TOWARDZERO);
  _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_ON);
  for (int i = 0; i < 10; ++i) {
    if (i % 2)
      sched_yield();
    else
      usleep(1);
    check_rounding(FE_TOWARDZERO);
    CHECK_EQ(_MM_GET_FLUSH_ZERO_MODE(), _MM_FLUSH_ZERO_ON);
  }
  return NULL;
}

static void* expect(void* arg) {
  check_rounding((int)(long)arg);
  CHECK_EQ(_MM_GET_FLUSH_ZERO_MODE(), _MM_FLUSH_ZERO_OFF);
  sched_yield();
  check_rounding((int)(long)arg);
  return NULL;
}

static void* create_from(void* arg) {
  set_rounding(FE_UPWARD);
  join_thread(start_thread(expect, (void*)(long)FE_UPWARD));
  return arg;
}

int main(void) {
  for (int round = 0; round < 10; ++round) {
    pthread_t threads[8];
    for (int i = 0; i < 8; ++i) threads[i] = start_thread(i % 2 ? change : expect, (void*)(long)FE_TONEAREST);
    for (int i = 0; i < 8; ++i) join_thread(threads[i]);
    join_thread(start_thread(create_from, NULL));
    check_rounding(FE_TONEAREST);
  }
  set_rounding(FE_DOWNWARD);
  join_thread(start_thread(expect, (void*)(long)FE_DOWNWARD));
  join_thread(start_thread(change, (void*)(long)FE_DOWNWARD));
  check_rounding(FE_DOWNWARD);
  return 0;
}
