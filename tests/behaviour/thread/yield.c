// sched_yield(2), pthread_yield(3): return 0, keep errno, and a thread that spins on a flag with yields lets the thread
// that sets the flag run (more spinners than CPUs).
#include "../check.h"

#include <sched.h>
#include <stdatomic.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

enum { kThreads = 16, kRounds = 200 };

static atomic_int g_turn;

// The threads take turns; each waits for its turn by yielding only.
static void* run(void* arg) {
  int me = (int)(long)arg;
  for (int round = 0; round < kRounds; ++round) {
    errno = me + 1;
    while (atomic_load(&g_turn) != round * kThreads + me) {
      if (round % 2)
        CHECK_EQ(sched_yield(), 0);
      else
        CHECK_EQ(pthread_yield(), 0);
    }
    CHECK_EQ(errno, me + 1);
    atomic_fetch_add(&g_turn, 1);
  }
  return NULL;
}

int main(void) {
  CHECK_EQ(sched_yield(), 0);
  pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; ++i) threads[i] = start_thread(run, (void*)i);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_EQ(atomic_load(&g_turn), kThreads * kRounds);
  return 0;
}
