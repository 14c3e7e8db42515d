// Main sleeps for short, again and again, beside two threads that compute for some ms at a time, with short sleeps in between: its OS thread is there for
// it, and hardly computes for them. (A thread that computed kept carrier 0 from main till the monitor sent it away, and soon came back, or carrier 0 took it,
// being idle: main was late by 2 to 5 ms in a turn out of four, and its OS thread computed for 1.0 to 2.4 s of 2.)
#include "../progress/raw.h"

#include <stdatomic.h>
#include <stdint.h>

enum { kWorkers = 2, kPieceUs = 3000, kSleepUs = 5000, kTurns = 300, kForOthersUs = 600000 };

static atomic_int g_stop;

static uint64_t cpu_us(void) {
  struct timespec t;
  CHECK_OK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t));
  return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

// Of the OS thread, whoever runs on it.
static uint64_t os_cpu_us(void) {
  struct timespec t;
  CHECK_EQ(raw_call(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, (long)&t, 0, 0, 0, 0), 0);
  return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void* computes(void* arg) {
  while (!atomic_load(&g_stop)) {
    for (uint64_t end = cpu_us() + kPieceUs; cpu_us() < end;)
      for (volatile int i = 0; i < 20000; ++i) {}
    usleep(100);
  }
  return arg;
}

int main(void) {
  pthread_t workers[kWorkers];
  for (int i = 0; i < kWorkers; ++i) workers[i] = start_thread(computes, NULL);
  uint64_t before = os_cpu_us();
  for (int i = 0; i < kTurns; ++i) CHECK_OK(usleep(kSleepUs));
  uint64_t computed = os_cpu_us() - before;
  atomic_store(&g_stop, 1);
  for (int i = 0; i < kWorkers; ++i) join_thread(workers[i]);
  printf("main's OS thread computed for %d us\n", (int)computed);
  fflush(stdout);
  if (!getenv("VTSHIM_CHAOS")) CHECK(computed < kForOthersUs);  // which sends threads anywhere, to carrier 0 as well
  return 0;
}
