// pthread_cond_broadcast(3): all threads that wait at the time of the call go on, each once per generation; 30 waiters,
// with the mutex held by the caller or not, and with a mutex that one of the woken holds for a while.
#include "../check.h"

enum { kWaiters = 30, kGenerations = 100 };

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;
static pthread_cond_t g_all = PTHREAD_COND_INITIALIZER;
static int g_waiting;
static int g_generation;

static void* run(void* arg) {
  long me = (long)arg;
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  for (int i = 0; i < kGenerations; ++i) {
    CHECK_EQ(g_generation, i);
    if (++g_waiting == kWaiters) CHECK_RC(pthread_cond_signal(&g_all), 0);
    while (g_generation == i) CHECK_RC(pthread_cond_wait(&g_cond, &g_mutex), 0);
    if (me == i % kWaiters) usleep(10);  // with the mutex: the other woken ones queue for it
  }
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  return NULL;
}

int main(void) {
  pthread_t threads[kWaiters];
  for (long i = 0; i < kWaiters; ++i) threads[i] = start_thread_with_stack(128 * 1024, run, (void*)i);
  for (int i = 0; i < kGenerations; ++i) {
    CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
    while (g_waiting < kWaiters) CHECK_RC(pthread_cond_wait(&g_all, &g_mutex), 0);
    g_waiting = 0;
    ++g_generation;
    if (i % 2) {
      CHECK_RC(pthread_cond_broadcast(&g_cond), 0);
      CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
    } else {
      CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
      CHECK_RC(pthread_cond_broadcast(&g_cond), 0);
    }
  }
  for (int i = 0; i < kWaiters; ++i) join_thread(threads[i]);
  return 0;
}
