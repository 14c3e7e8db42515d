// pthread_mutex_timedlock(3): timeouts that race with unlocks: whoever gets 0 holds the mutex alone, whoever gets
// ETIMEDOUT doesn't, and no unlock is lost on a waiter that timed out (the test would hang).
#include "../check.h"

#include <sched.h>
#include <stdatomic.h>

enum { kThreads = 8, kRounds = 400 };

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static int g_holders;
static long g_acquired;
static atomic_long g_timeouts;
static atomic_long g_successes;

static void* run(void* arg) {
  unsigned state = (unsigned)(long)arg * 2654435761u + 1;
  for (int i = 0; i < kRounds; ++i) {
    state = state * 1664525u + 1013904223u;
    int rc;
    if (i % 4 == 3) {
      rc = pthread_mutex_lock(&g_mutex);
      CHECK_RC(rc, 0);
    } else {
      struct timespec deadline = deadline_after_ms(CLOCK_MONOTONIC, 0);
      deadline.tv_nsec += (long)(state >> 16) % 200000;  // within 0.2 ms
      if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_nsec -= 1000000000;
        ++deadline.tv_sec;
      }
      rc = pthread_mutex_clocklock(&g_mutex, CLOCK_MONOTONIC, &deadline);
    }
    if (rc == ETIMEDOUT) {
      atomic_fetch_add(&g_timeouts, 1);
      continue;
    }
    CHECK_RC(rc, 0);
    CHECK_EQ(++g_holders, 1);
    ++g_acquired;
    if (state % 8 == 0) usleep(50);
    if (state % 8 == 1) sched_yield();
    CHECK_EQ(--g_holders, 0);
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
    atomic_fetch_add(&g_successes, 1);
  }
  return NULL;
}

int main(void) {
  pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; ++i) threads[i] = start_thread(run, (void*)i);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_EQ(atomic_load(&g_timeouts) + atomic_load(&g_successes), kThreads * kRounds);
  CHECK_EQ(g_acquired, atomic_load(&g_successes));
  CHECK_RC(pthread_mutex_trylock(&g_mutex), 0);
  return 0;
}
