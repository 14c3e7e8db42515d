// Priority-inheriting and -protecting mutexes, alone and with a condition variable: 20 threads count, wait for each other and signal;
// conditions with robust and process-shared mutexes, too, by all three waits; PTHREAD_PRIO_PROTECT without the right to it.
#include "../check.h"

enum { kThreads = 20, kRounds = 50 };
static pthread_mutex_t mutex;
static pthread_cond_t cond;
static long counter, turn;

static void* count(void* arg) {
  for (int i = 0; i < kRounds; ++i) {
    CHECK_RC(pthread_mutex_lock(&mutex), 0);
    long seen = counter;
    if (i % 8 == 0) sched_yield();
    counter = seen + 1;
    CHECK_RC(pthread_mutex_unlock(&mutex), 0);
  }
  return arg;
}

static void* take_turns(void* arg) {
  for (int i = 0; i < kRounds; ++i) {
    CHECK_RC(pthread_mutex_lock(&mutex), 0);
    while (turn % 3 != (long)arg) {
      struct timespec late = deadline_after_ms(CLOCK_REALTIME, 100000), later = deadline_after_ms(CLOCK_MONOTONIC, 100000);
      CHECK_RC(i % 3 == 0   ? pthread_cond_wait(&cond, &mutex)
               : i % 3 == 1 ? pthread_cond_timedwait(&cond, &mutex, &late)
                            : pthread_cond_clockwait(&cond, &mutex, CLOCK_MONOTONIC, &later),
               0);
    }
    ++turn;
    CHECK_RC(pthread_cond_broadcast(&cond), 0);
    CHECK_RC(pthread_mutex_unlock(&mutex), 0);
  }
  return NULL;
}

static void* time_out(void* arg) {
  struct timespec soon = deadline_after_ms(CLOCK_REALTIME, 3);
  CHECK_RC(pthread_cond_timedwait(&cond, &mutex, &soon), EPERM);  // not the owner
  CHECK_RC(pthread_mutex_lock(&mutex), 0);
  CHECK_RC(pthread_cond_timedwait(&cond, &mutex, &soon), ETIMEDOUT);
  CHECK_RC(pthread_mutex_unlock(&mutex), 0);
  return arg;
}

static void check(int protocol, int robust, int shared_mutex, int shared_cond) {
  pthread_mutexattr_t ma;
  pthread_condattr_t ca;
  CHECK_RC(pthread_mutexattr_init(&ma), 0);
  CHECK_RC(pthread_mutexattr_settype(&ma, PTHREAD_MUTEX_ERRORCHECK), 0);
  CHECK_RC(pthread_mutexattr_setprotocol(&ma, protocol), 0);
  CHECK_RC(pthread_mutexattr_setrobust(&ma, robust), 0);
  CHECK_RC(pthread_mutexattr_setpshared(&ma, shared_mutex), 0);
  CHECK_RC(pthread_condattr_init(&ca), 0);
  CHECK_RC(pthread_condattr_setpshared(&ca, shared_cond), 0);
  CHECK_RC(pthread_mutex_init(&mutex, &ma), 0);
  CHECK_RC(pthread_cond_init(&cond, &ca), 0);
  pthread_t threads[kThreads];
  counter = turn = 0;
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(count, NULL);
  count(NULL);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_EQ(counter, (kThreads + 1) * kRounds);
  for (long i = 1; i < 3; ++i) threads[i] = start_thread(take_turns, (void*)i);
  take_turns((void*)0);
  for (int i = 1; i < 3; ++i) join_thread(threads[i]);
  CHECK_EQ(turn, 3 * kRounds);
  join_thread(start_thread(time_out, NULL));
  CHECK_RC(pthread_cond_destroy(&cond), 0);
  CHECK_RC(pthread_mutex_destroy(&mutex), 0);
}

int main(void) {
  for (int shared = PTHREAD_PROCESS_PRIVATE; shared <= PTHREAD_PROCESS_SHARED; ++shared) {
    check(PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED, PTHREAD_PROCESS_PRIVATE, shared);
    check(PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ROBUST, PTHREAD_PROCESS_PRIVATE, shared);
    check(PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED, PTHREAD_PROCESS_SHARED, shared);
    check(PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_ROBUST, PTHREAD_PROCESS_SHARED, shared);
  }
  return 0;
}
