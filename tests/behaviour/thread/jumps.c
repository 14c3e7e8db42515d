// longjmp, _longjmp and siglongjmp on a thread's own stack, over frames that parked; the checked variant of FORTIFY. setjmp(3).
#include "../check.h"

#include <setjmp.h>

void __longjmp_chk(struct __jmp_buf_tag*, int) __attribute__((noreturn));

static __thread jmp_buf back;
static __thread sigjmp_buf signal_back;

__attribute__((noinline)) static void deeper(int way, int depth) {
  char room[500];
  memset(room, depth, sizeof room);
  if (depth == 0) {
    sched_yield();
    if (way == 0) longjmp(back, 7);
    if (way == 1) _longjmp(back, 7);
    if (way == 2) __longjmp_chk(back, 7);
    siglongjmp(signal_back, 7);
  }
  deeper(way, depth - 1);
  CHECK_EQ(room[3], depth);
}

static void* body(void* arg) {
  for (volatile int round = 0; round < 50; ++round)
    for (volatile int way = 0; way < 4; ++way) {
      int r = way == 3 ? sigsetjmp(signal_back, 1) : way == 1 ? _setjmp(back) : setjmp(back);
      if (r == 0) deeper(way, 20);
      CHECK_EQ(r, 7);
      if (round % 16 == 0) sched_yield();
    }
  return arg;
}

int main(void) {
  pthread_t threads[8];
  for (int i = 0; i < 8; ++i) threads[i] = start_thread(body, NULL);
  body(NULL);
  for (int i = 0; i < 8; ++i) join_thread(threads[i]);
  return 0;
}
