// futex(2): waiters that came by bare system calls, as libc's own locks do, and by syscall(2), on one word: a wake-up reaches both, and
// tells how many there were.
#include "../check.h"

#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>

enum { kEach = 8 };
static uint32_t word = 5;
static int ended;

static long bare(uint32_t* at, int op, uint32_t value) {
  long r;
  register long r10 asm("r10") = 0;
  asm volatile("syscall" : "=a"(r) : "0"((long)SYS_futex), "D"(at), "S"((long)op), "d"((long)value), "r"(r10) : "rcx", "r11", "memory");
  return r;
}

static void* wait_bare(void* arg) {
  CHECK_EQ(bare(&word, FUTEX_WAIT_PRIVATE, 5), 0);
  __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
  return arg;
}
static void* wait_by_libc(void* arg) {
  CHECK_EQ(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 5, NULL, NULL, 0), 0);
  __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
  return arg;
}

int main(void) {
  pthread_t threads[2 * kEach];
  for (int i = 0; i < kEach; ++i) {
    threads[2 * i] = start_thread(wait_bare, NULL);
    threads[2 * i + 1] = start_thread(wait_by_libc, NULL);
  }
  uint32_t other = 0;
  int n = 0;
  while (n != 2 * kEach) {  // moved to another word and back, to count them
    n = (int)syscall(SYS_futex, &word, FUTEX_REQUEUE_PRIVATE, 0, 100L, &other, 0);
    CHECK_EQ(syscall(SYS_futex, &other, FUTEX_CMP_REQUEUE_PRIVATE, 0, 100L, &word, 0), n);
    sleep_ms(1);
  }
  CHECK_EQ(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 3, NULL, NULL, 0), 3);
  CHECK_EQ(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, kEach, NULL, NULL, 0), kEach);
  CHECK_EQ(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0), kEach - 3);
  CHECK_EQ(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0), 0);
  for (int i = 0; i < 2 * kEach; ++i) join_thread(threads[i]);
  CHECK_EQ(ended, 2 * kEach);
  return 0;
}
