// Main sleeps for short, again and again, beside two threads that compute for some ms at a time, with short sleeps in between: it has nearly as many turns as a
// process beside it that does the same by itself. (A thread that computed kept carrier 0 from main till the monitor sent it away, and soon
// came back, or carrier 0 took it, being idle: main was late by 2 to 5 ms in a turn out of four.)
#include "../check.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

enum { kWorkers = 2, kPieceUs = 3000, kSleepUs = 5000, kTurns = 300 };

static atomic_int g_stop;

static uint64_t cpu_us(void) {
  struct timespec t;
  CHECK_OK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t));
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
  atomic_int* turns = mmap(NULL, sizeof *turns, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(turns != MAP_FAILED);
  pid_t beside = fork();
  CHECK_OK(beside);
  if (beside == 0)
    for (;;) {
      usleep(kSleepUs);
      atomic_fetch_add(turns, 1);
    }
  pthread_t workers[kWorkers];
  for (int i = 0; i < kWorkers; ++i) workers[i] = start_thread(computes, NULL);
  int before = atomic_load(turns);
  for (int i = 0; i < kTurns; ++i) CHECK_OK(usleep(kSleepUs));
  int its = atomic_load(turns) - before;
  atomic_store(&g_stop, 1);
  for (int i = 0; i < kWorkers; ++i) join_thread(workers[i]);
  CHECK_OK(kill(beside, SIGKILL));
  CHECK_OK(waitpid(beside, NULL, 0));
  printf("%d turns, the process beside it %d\n", kTurns, its);
  fflush(stdout);
  if (!getenv("VTSHIM_CHAOS")) CHECK(its * 100 <= kTurns * 117);  // which sends threads anywhere, to carrier 0 as well
  return 0;
}
