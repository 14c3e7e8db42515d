// pthread_cond_timedwait(3): timeouts that race with signals. A waiter that times out must not swallow a signal that
// another waiter needs: every token is taken, by a waiter without a deadline if need be (else the test hangs).
#include "../check.h"

enum { kTimed = 6, kPatient = 2, kTokens = 2000 };

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_available = PTHREAD_COND_INITIALIZER;
static pthread_cond_t g_taken = PTHREAD_COND_INITIALIZER;
static int g_tokens;
static int g_stop;

static void* run(void* arg) {
  int timed = (long)arg < kTimed;
  unsigned state = (unsigned)(long)arg + 1;
  long taken = 0;
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  while (!g_stop) {
    if (g_tokens > 0) {
      --g_tokens;
      ++taken;
      CHECK_RC(pthread_cond_signal(&g_taken), 0);
    } else if (timed) {
      state = state * 1664525u + 1013904223u;
      struct timespec deadline = deadline_after_ms(CLOCK_MONOTONIC, 0);
      deadline.tv_nsec += (long)(state >> 16) % 100000;
      if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_nsec -= 1000000000;
        ++deadline.tv_sec;
      }
      int rc = pthread_cond_clockwait(&g_available, &g_mutex, CLOCK_MONOTONIC, &deadline);
      CHECK(rc == 0 || rc == ETIMEDOUT);
      if (rc == ETIMEDOUT) {
        // Leave for a while without looking at the tokens: the signal belongs to those who still wait.
        CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
        usleep(100);
        CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
      }
    } else {
      CHECK_RC(pthread_cond_wait(&g_available, &g_mutex), 0);
    }
  }
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  return (void*)taken;
}

int main(void) {
  pthread_t threads[kTimed + kPatient];
  for (long i = 0; i < kTimed + kPatient; ++i) threads[i] = start_thread(run, (void*)i);
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  for (int i = 0; i < kTokens; ++i) {
    ++g_tokens;
    CHECK_RC(pthread_cond_signal(&g_available), 0);
    while (g_tokens > 0) CHECK_RC(pthread_cond_wait(&g_taken, &g_mutex), 0);
  }
  g_stop = 1;
  CHECK_RC(pthread_cond_broadcast(&g_available), 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  long taken = 0;
  for (int i = 0; i < kTimed + kPatient; ++i) taken += (long)join_thread(threads[i]);
  CHECK_EQ(taken, kTokens);
  return 0;
}
