// pthread_barrier_wait(3): nobody passes before all have come, exactly one gets SERIAL_THREAD in each generation, the
// barrier is ready for the next at once; init refuses a count of 0; with the main thread taking part.
#include "../check.h"

#include <stdatomic.h>

enum { kThreads = 20, kGenerations = 300 };

static pthread_barrier_t g_barrier;
static atomic_int g_arrived[kGenerations];
static atomic_int g_serials[kGenerations];

static void* run(void* arg) {
  for (int i = 0; i < kGenerations; ++i) {
    atomic_fetch_add(&g_arrived[i], 1);
    int rc = pthread_barrier_wait(&g_barrier);
    CHECK_EQ(atomic_load(&g_arrived[i]), kThreads);
    if (rc == PTHREAD_BARRIER_SERIAL_THREAD)
      atomic_fetch_add(&g_serials[i], 1);
    else
      CHECK_RC(rc, 0);
  }
  return arg;
}

int main(void) {
  CHECK_RC(pthread_barrier_init(&g_barrier, NULL, 0), EINVAL);
  CHECK_RC(pthread_barrier_init(&g_barrier, NULL, 1), 0);
  for (int i = 0; i < 3; ++i) CHECK_RC(pthread_barrier_wait(&g_barrier), PTHREAD_BARRIER_SERIAL_THREAD);
  CHECK_RC(pthread_barrier_destroy(&g_barrier), 0);

  CHECK_RC(pthread_barrier_init(&g_barrier, NULL, kThreads), 0);
  pthread_t threads[kThreads];
  for (int i = 1; i < kThreads; ++i) threads[i] = start_thread(run, NULL);
  run(NULL);
  for (int i = 1; i < kThreads; ++i) join_thread(threads[i]);
  for (int i = 0; i < kGenerations; ++i) CHECK_EQ(atomic_load(&g_serials[i]), 1);
  CHECK_RC(pthread_barrier_destroy(&g_barrier), 0);
  return 0;
}
