// pthread_cond_signal(3): may be called without the mutex; when the predicate was changed under the mutex no wake-up is
// lost. Ping-pong of two threads that signal after they unlock, and from a third that holds nothing.
#include "../check.h"

enum { kRounds = 5000 };

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_conds[2] = {PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER};
static int g_turn;
static int g_done;

static void* play(void* arg) {
  int me = (int)(long)arg;
  for (int i = 0; i < kRounds; ++i) {
    CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
    while (g_turn != me) CHECK_RC(pthread_cond_wait(&g_conds[me], &g_mutex), 0);
    g_turn = !me;
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
    CHECK_RC(pthread_cond_signal(&g_conds[!me]), 0);
  }
  return NULL;
}

// Signals and broadcasts at random: spurious wake-ups for the players, nothing else.
static void* disturb(void* arg) {
  for (int i = 0; !__atomic_load_n(&g_done, __ATOMIC_RELAXED); ++i) {
    CHECK_RC(pthread_cond_signal(&g_conds[i % 2]), 0);
    if (i % 8 == 0) CHECK_RC(pthread_cond_broadcast(&g_conds[i / 8 % 2]), 0);
    usleep(100);
  }
  return arg;
}

int main(void) {
  pthread_t first = start_thread(play, (void*)0);
  pthread_t second = start_thread(play, (void*)1);
  pthread_t disturber = start_thread(disturb, NULL);
  join_thread(first);
  join_thread(second);
  __atomic_store_n(&g_done, 1, __ATOMIC_RELAXED);
  join_thread(disturber);
  CHECK_EQ(g_turn, 0);
  return 0;
}
