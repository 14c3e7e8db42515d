// pthread_timedjoin_np(3), pthread_clockjoin_np: ETIMEDOUT not before the deadline (also one that has passed, also
// repeatedly), success when the thread ends during the wait, a NULL deadline waits as pthread_join does.
#include "../check.h"

#include <semaphore.h>

static sem_t g_gate;

static void* wait_for_gate(void* arg) {
  CHECK_OK(sem_wait(&g_gate));
  return arg;
}

static void* open_gate_later(void* arg) {
  sleep_ms(20);
  CHECK_OK(sem_post(&g_gate));
  return arg;
}

int main(void) {
  CHECK_OK(sem_init(&g_gate, 0, 0));
  int token = 0;
  void* result = NULL;
  static const clockid_t kClocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};

  pthread_t thread = start_thread(wait_for_gate, &token);
  struct timespec past = deadline_after_ms(CLOCK_REALTIME, -1000);
  CHECK_RC(pthread_timedjoin_np(thread, &result, &past), ETIMEDOUT);
  for (int i = 0; i < 2; ++i) {
    past = deadline_after_ms(kClocks[i], -10);
    CHECK_RC(pthread_clockjoin_np(thread, &result, kClocks[i], &past), ETIMEDOUT);
    long long start = now_ms();
    struct timespec soon = deadline_after_ms(kClocks[i], 50);
    CHECK_RC(pthread_clockjoin_np(thread, &result, kClocks[i], &soon), ETIMEDOUT);
    CHECK(now_ms() - start >= 49);
  }
  long long start = now_ms();
  struct timespec soon = deadline_after_ms(CLOCK_REALTIME, 50);
  CHECK_RC(pthread_timedjoin_np(thread, &result, &soon), ETIMEDOUT);
  CHECK(now_ms() - start >= 49);
  CHECK(result == NULL);
  CHECK_RC(pthread_clockjoin_np(thread, &result, CLOCK_PROCESS_CPUTIME_ID, &soon), EINVAL);

  // Still joinable after all those; ends while we wait with a deadline far away.
  pthread_t opener = start_thread(open_gate_later, NULL);
  struct timespec later = deadline_after_ms(CLOCK_REALTIME, 60000);
  CHECK_RC(pthread_timedjoin_np(thread, &result, &later), 0);
  CHECK(result == &token);
  join_thread(opener);

  for (int i = 0; i < 2; ++i) {
    thread = start_thread(wait_for_gate, &token);
    opener = start_thread(open_gate_later, NULL);
    result = NULL;
    later = deadline_after_ms(kClocks[i], 60000);
    CHECK_RC(pthread_clockjoin_np(thread, &result, kClocks[i], &later), 0);
    CHECK(result == &token);
    join_thread(opener);
  }

  // A NULL deadline: no limit.
  thread = start_thread(wait_for_gate, &token);
  opener = start_thread(open_gate_later, NULL);
  result = NULL;
  CHECK_RC(pthread_timedjoin_np(thread, &result, NULL), 0);
  CHECK(result == &token);
  join_thread(opener);
  return 0;
}
