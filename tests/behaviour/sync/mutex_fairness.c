// Progress at a mutex: a thread that keeps unlocking it only around a blocking call (a pipe read, a sleep of 1 us) and
// relocks at once doesn't starve the threads that wait for the mutex (as the GIL's users do). Nothing promises FIFO:
// the bound, one million turns of the hog, is far from what any sane mutex needs.
#include "../check.h"

#include <stdatomic.h>

enum { kWaiters = 3, kWanted = 100, kLimit = 1000000 };

static pthread_mutex_t g_mutex;
static atomic_int g_satisfied;
static int g_pipe[2];

static void* wait_often(void* arg) {
  for (int i = 0; i < kWanted; ++i) {
    CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  }
  atomic_fetch_add(&g_satisfied, 1);
  return arg;
}

static void* feed(void* arg) {
  char byte = 'x';
  while (atomic_load(&g_satisfied) < kWaiters) CHECK_EQ(write(g_pipe[1], &byte, 1), 1);
  CHECK_OK(close(g_pipe[1]));
  return arg;
}

static void* hog(void* arg) {
  int by_sleep = arg != NULL;
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  for (int turn = 0; atomic_load(&g_satisfied) < kWaiters; ++turn) {
    CHECK(turn < kLimit);
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
    char byte;
    if (by_sleep)
      usleep(1);
    else
      CHECK_OK(read(g_pipe[0], &byte, 1));
    CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  }
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  // Drain, so that the feeder isn't stuck in a full pipe.
  char rest[4096];
  while (!by_sleep && read(g_pipe[0], rest, sizeof rest) > 0) {
  }
  return NULL;
}

int main(void) {
  static const int kKinds[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ADAPTIVE_NP};
  for (int kind = 0; kind < 2; ++kind) {
    pthread_mutexattr_t attr;
    CHECK_RC(pthread_mutexattr_init(&attr), 0);
    CHECK_RC(pthread_mutexattr_settype(&attr, kKinds[kind]), 0);
    CHECK_RC(pthread_mutex_init(&g_mutex, &attr), 0);
    for (int by_sleep = 0; by_sleep < 2; ++by_sleep) {
      atomic_store(&g_satisfied, 0);
      CHECK_OK(pipe(g_pipe));
      pthread_t hog_thread = start_thread(hog, by_sleep ? &g_pipe : NULL);
      pthread_t feeder = 0;
      if (!by_sleep) feeder = start_thread(feed, NULL);
      pthread_t waiters[kWaiters];
      for (int i = 0; i < kWaiters; ++i) waiters[i] = start_thread(wait_often, NULL);
      for (int i = 0; i < kWaiters; ++i) join_thread(waiters[i]);
      join_thread(hog_thread);
      if (!by_sleep) join_thread(feeder);
      if (by_sleep) CHECK_OK(close(g_pipe[1]));
      CHECK_OK(close(g_pipe[0]));
    }
    CHECK_RC(pthread_mutex_destroy(&g_mutex), 0);
  }
  return 0;
}
