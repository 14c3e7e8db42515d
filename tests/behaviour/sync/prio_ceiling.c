// Priority-protected mutexes: the ceiling is kept, changed by pthread_mutex_setprioceiling (which locks the mutex meanwhile, on any thread), and its
// errors; skipped where SCHED_FIFO isn't allowed, which such mutexes need.
#include "../check.h"

#include <sched.h>

static pthread_mutex_t g_mutex;
static int g_count;

static void* raise_ceiling(void* arg) {
  int old = -1;
  for (int i = 0; i < 50; ++i) {
    CHECK_RC(pthread_mutex_setprioceiling(&g_mutex, 10 + i % 5, &old), 0);
    CHECK(old >= 10 && old < 15);
    CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
    ++g_count;
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  }
  return arg;
}

int main(void) {
  pthread_mutexattr_t attr;
  CHECK_RC(pthread_mutexattr_init(&attr), 0);
  CHECK_RC(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_PROTECT), 0);
  CHECK_RC(pthread_mutexattr_setprioceiling(&attr, 10), 0);
  CHECK_RC(pthread_mutex_init(&g_mutex, &attr), 0);
  int ceiling = 0, r = pthread_mutex_lock(&g_mutex);
  if (r == EPERM || r == EINVAL) SKIP("SCHED_FIFO isn't allowed");
  CHECK_RC(r, 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  CHECK_RC(pthread_mutex_getprioceiling(&g_mutex, &ceiling), 0);
  CHECK_EQ(ceiling, 10);
  CHECK_RC(pthread_mutex_setprioceiling(&g_mutex, 1000, &ceiling), EINVAL);
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) threads[i] = start_thread(raise_ceiling, NULL);
  for (int i = 0; i < 4; ++i) join_thread(threads[i]);
  CHECK_EQ(g_count, 200);
  pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER;
  CHECK_RC(pthread_mutex_setprioceiling(&plain, 10, &ceiling), EINVAL);
  CHECK_RC(pthread_mutex_destroy(&g_mutex), 0);
  return 0;
}
