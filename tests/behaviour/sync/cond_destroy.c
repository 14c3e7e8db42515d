// pthread_cond_destroy(3), POSIX: a condition variable may be destroyed, and its memory reused, right after the
// broadcast that woke all its waiters, though they haven't returned from wait yet.
#include "../check.h"

enum { kWaiters = 8, kRounds = 300, kPattern = 0x5a };

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_all_wait = PTHREAD_COND_INITIALIZER;
static union {
  pthread_cond_t cond;
  unsigned char bytes[sizeof(pthread_cond_t)];
} g_gate;
static int g_round = -1;
static int g_waiting;
static pthread_barrier_t g_barrier;

static void* run(void* arg) {
  for (int round = 0; round < kRounds; ++round) {
    pthread_barrier_wait(&g_barrier);
    CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
    if (++g_waiting == kWaiters) CHECK_RC(pthread_cond_signal(&g_all_wait), 0);
    // Once g_round is set the condition may be gone: it isn't looked at again.
    while (g_round != round) CHECK_RC(pthread_cond_wait(&g_gate.cond, &g_mutex), 0);
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
    pthread_barrier_wait(&g_barrier);
  }
  return arg;
}

int main(void) {
  CHECK_RC(pthread_barrier_init(&g_barrier, NULL, kWaiters + 1), 0);
  pthread_t threads[kWaiters];
  for (int i = 0; i < kWaiters; ++i) threads[i] = start_thread(run, NULL);
  for (int round = 0; round < kRounds; ++round) {
    CHECK_RC(pthread_cond_init(&g_gate.cond, NULL), 0);
    pthread_barrier_wait(&g_barrier);
    CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
    while (g_waiting < kWaiters) CHECK_RC(pthread_cond_wait(&g_all_wait, &g_mutex), 0);
    g_waiting = 0;
    g_round = round;
    CHECK_RC(pthread_cond_broadcast(&g_gate.cond), 0);
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
    CHECK_RC(pthread_cond_destroy(&g_gate.cond), 0);
    memset(&g_gate, kPattern, sizeof g_gate);
    pthread_barrier_wait(&g_barrier);
    for (size_t i = 0; i < sizeof g_gate.bytes; ++i) CHECK_EQ(g_gate.bytes[i], kPattern);
  }
  for (int i = 0; i < kWaiters; ++i) join_thread(threads[i]);
  return 0;
}
