// CLOCK_THREAD_CPUTIME_ID and pthread_getcpuclockid: a thread's CPU time grows while it computes, by about as much as it took, hardly while it
// sleeps, and not by what others use, wherever it runs.
#include "../check.h"

#include <sched.h>
#include <stdatomic.h>

static double seconds(clockid_t clock) {
  struct timespec t;
  CHECK_OK(clock_gettime(clock, &t));
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static atomic_int g_stop, g_started;

static void* burns(void* arg) {
  seconds(CLOCK_THREAD_CPUTIME_ID);
  atomic_fetch_add(&g_started, 1);
  while (!atomic_load(&g_stop)) sched_yield();
  return arg;
}

static void* measures(void* arg) {
  struct timespec resolution;
  CHECK_OK(clock_getres(CLOCK_THREAD_CPUTIME_ID, &resolution));
  CHECK_EQ(resolution.tv_sec, 0);
  seconds(CLOCK_THREAD_CPUTIME_ID);  // from here on it is counted, under the shim
  double start = seconds(CLOCK_THREAD_CPUTIME_ID), process = seconds(CLOCK_PROCESS_CPUTIME_ID), last = start;
  while (seconds(CLOCK_THREAD_CPUTIME_ID) - start < 0.03) {
    double now = seconds(CLOCK_THREAD_CPUTIME_ID);
    CHECK(now >= last);
    last = now;
    if ((int)(now * 1e6) % 16 == 0) sched_yield();
  }
  CHECK(seconds(CLOCK_PROCESS_CPUTIME_ID) - process >= 0.029);
  double before = seconds(CLOCK_THREAD_CPUTIME_ID);
  usleep(50000);  // others burn meanwhile
  CHECK(seconds(CLOCK_THREAD_CPUTIME_ID) - before < 0.02);
  return arg;
}

int main(void) {
  pthread_t burners[2];
  for (int i = 0; i < 2; ++i) burners[i] = start_thread(burns, NULL);
  while (atomic_load(&g_started) < 2) sched_yield();
  clockid_t clock;
  CHECK_RC(pthread_getcpuclockid(burners[0], &clock), 0);
  seconds(clock);
  join_thread(start_thread(measures, NULL));
  double before = seconds(clock);
  long long begin = now_ms();
  while (seconds(clock) - before < 0.01) {
    CHECK(now_ms() - begin < 20000);
    usleep(1000);
  }
  atomic_store(&g_stop, 1);
  for (int i = 0; i < 2; ++i) join_thread(burners[i]);
  return 0;
}
