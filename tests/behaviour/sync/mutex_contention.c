// pthread_mutex_lock(3): mutual exclusion and no lost wake-up with 8 threads and the main thread on one mutex of each
// kind, with and without blocking calls while it is held.
#include "../check.h"

#include <sched.h>

enum { kThreads = 8, kRounds = 5000 };

static pthread_mutex_t g_mutex;
static int g_kind;
static volatile long g_counter;
static volatile int g_inside;

static void* run(void* arg) {
  for (int i = 0; i < kRounds; ++i) {
    if (i % 16 == 5) {
      while (pthread_mutex_trylock(&g_mutex) == EBUSY) sched_yield();
    } else {
      CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
    }
    if (g_kind == PTHREAD_MUTEX_RECURSIVE) CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
    CHECK_EQ(g_inside, 0);
    g_inside = 1;
    g_counter = g_counter + 1;
    if (i % 64 == 0) sched_yield();
    if (i % 1024 == 1023) usleep(1);
    CHECK_EQ(g_inside, 1);
    g_inside = 0;
    if (g_kind == PTHREAD_MUTEX_RECURSIVE) CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  }
  return arg;
}

int main(void) {
  static const int kKinds[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK,
                               PTHREAD_MUTEX_ADAPTIVE_NP};
  for (int kind = 0; kind < 4; ++kind) {
    pthread_mutexattr_t attr;
    g_kind = kKinds[kind];
    CHECK_RC(pthread_mutexattr_init(&attr), 0);
    CHECK_RC(pthread_mutexattr_settype(&attr, g_kind), 0);
    CHECK_RC(pthread_mutex_init(&g_mutex, &attr), 0);
    g_counter = 0;
    pthread_t threads[kThreads];
    for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(run, NULL);
    run(NULL);
    for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
    CHECK_EQ(g_counter, (kThreads + 1) * kRounds);
    CHECK_RC(pthread_mutex_destroy(&g_mutex), 0);
  }
  return 0;
}
