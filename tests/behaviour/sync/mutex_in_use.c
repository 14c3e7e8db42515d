// pthread_mutex_destroy(3) of a mutex that a condition variable's waiter will take again: EBUSY for every kind but the robust ones, which libc doesn't
// look at; and when the waiter has gone it can be destroyed. Signals come while waiters are on their way.
#include "../check.h"

#include <stdatomic.h>

static pthread_mutex_t g_mutex;
static pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;
static int g_done, g_waits;

static void* waiter(void* arg) {
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  ++g_waits;
  while (!g_done) CHECK_RC(pthread_cond_wait(&g_cond, &g_mutex), 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  return arg;
}

static void with(int type, int protocol, int robust) {
  enum { kWaiters = 3 };
  pthread_mutexattr_t attr;
  CHECK_RC(pthread_mutexattr_init(&attr), 0);
  CHECK_RC(pthread_mutexattr_settype(&attr, type), 0);
  CHECK_RC(pthread_mutexattr_setprotocol(&attr, protocol), 0);
  CHECK_RC(pthread_mutexattr_setrobust(&attr, robust), 0);
  CHECK_RC(pthread_mutex_init(&g_mutex, &attr), 0);
  g_done = g_waits = 0;
  pthread_t threads[kWaiters];
  for (int i = 0; i < kWaiters; ++i) threads[i] = start_thread(waiter, NULL);
  for (int waits = 0; waits < kWaiters;) {
    CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
    waits = g_waits;
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
    sched_yield();
  }
  for (int i = 0; i < 200; ++i) CHECK_RC(pthread_cond_signal(&g_cond), 0);
  if (robust == PTHREAD_MUTEX_STALLED) CHECK_RC(pthread_mutex_destroy(&g_mutex), EBUSY);
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  g_done = 1;
  CHECK_RC(pthread_cond_broadcast(&g_cond), 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  for (int i = 0; i < kWaiters; ++i) join_thread(threads[i]);
  CHECK_RC(pthread_mutex_destroy(&g_mutex), 0);
}

int main(void) {
  const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK};
  for (int i = 0; i < 3; ++i) {
    with(types[i], PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED);
    with(types[i], PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED);
    with(types[i], PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ROBUST);
  }
  return 0;
}
