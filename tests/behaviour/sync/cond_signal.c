// pthread_cond_wait(3), pthread_cond_signal(3): each signal lets at least one waiter go on, no signal given under the
// mutex is lost, the mutex is held when wait returns; one waiter or many, mutex of any kind.
#include "../check.h"

#include <semaphore.h>

enum { kWaiters = 20, kTokens = 2000 };

static pthread_mutex_t g_mutex;
static pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;
static int g_tokens;
static int g_stop;
static int g_inside;
static sem_t g_taken;

static void* take(void* arg) {
  long taken = 0;
  (void)arg;
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  for (;;) {
    while (g_tokens == 0 && !g_stop) {
      CHECK_RC(pthread_cond_wait(&g_cond, &g_mutex), 0);
      CHECK_EQ(++g_inside, 1);
      --g_inside;
    }
    if (g_tokens == 0) break;
    --g_tokens;
    ++taken;
    CHECK_OK(sem_post(&g_taken));
  }
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  return (void*)taken;
}

static void check(int kind, int waiters) {
  pthread_mutexattr_t attr;
  CHECK_RC(pthread_mutexattr_init(&attr), 0);
  CHECK_RC(pthread_mutexattr_settype(&attr, kind), 0);
  CHECK_RC(pthread_mutex_init(&g_mutex, &attr), 0);
  g_stop = 0;
  pthread_t threads[kWaiters];
  for (int i = 0; i < waiters; ++i) threads[i] = start_thread(take, NULL);
  for (int i = 0; i < kTokens; ++i) {
    CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
    ++g_tokens;
    CHECK_RC(pthread_cond_signal(&g_cond), 0);
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
    // In half of the rounds wait until this very token was taken: nothing else would wake a waiter.
    if (i % 2) {
      CHECK_OK(sem_wait(&g_taken));
      CHECK_OK(sem_wait(&g_taken));
    }
  }
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  g_stop = 1;
  CHECK_RC(pthread_cond_broadcast(&g_cond), 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  long taken = 0;
  for (int i = 0; i < waiters; ++i) taken += (long)join_thread(threads[i]);
  CHECK_EQ(taken, kTokens);
  CHECK_EQ(g_tokens, 0);
  CHECK_RC(pthread_mutex_destroy(&g_mutex), 0);
}

int main(void) {
  CHECK_OK(sem_init(&g_taken, 0, 0));
  CHECK_RC(pthread_cond_signal(&g_cond), 0);  // nobody waits: no effect, not remembered
  CHECK_RC(pthread_cond_broadcast(&g_cond), 0);
  check(PTHREAD_MUTEX_NORMAL, 1);
  check(PTHREAD_MUTEX_NORMAL, kWaiters);
  check(PTHREAD_MUTEX_RECURSIVE, kWaiters);
  check(PTHREAD_MUTEX_ERRORCHECK, kWaiters);
  check(PTHREAD_MUTEX_ADAPTIVE_NP, kWaiters);
  // Waiting with a mutex that isn't held is noticed where the kind allows.
  pthread_mutex_t checked = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
  CHECK_RC(pthread_cond_wait(&g_cond, &checked), EPERM);
  CHECK_RC(pthread_cond_destroy(&g_cond), 0);
  return 0;
}
