// pthread_mutex_timedlock(3), pthread_mutex_clocklock: ETIMEDOUT on both clocks and not before the deadline, success
// when free even if the deadline has passed, success when unlocked during the wait, EINVAL for a bad tv_nsec or clock.
#include "../check.h"

#include <semaphore.h>

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static sem_t g_held;
static sem_t g_release;

static void* holder(void* arg) {
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  CHECK_OK(sem_post(&g_held));
  CHECK_OK(sem_wait(&g_release));
  sleep_ms(10);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  return arg;
}

static int lock_until(int variant, const struct timespec* deadline) {
  if (variant == 0) return pthread_mutex_timedlock(&g_mutex, deadline);
  return pthread_mutex_clocklock(&g_mutex, variant == 1 ? CLOCK_REALTIME : CLOCK_MONOTONIC, deadline);
}

static void* check(void* arg) {
  for (int variant = 0; variant < 3; ++variant) {
    clockid_t clock = variant == 2 ? CLOCK_MONOTONIC : CLOCK_REALTIME;
    struct timespec past = deadline_after_ms(clock, -1000);
    CHECK_RC(lock_until(variant, &past), 0);
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);

    pthread_t thread = start_thread(holder, NULL);
    CHECK_OK(sem_wait(&g_held));
    CHECK_RC(lock_until(variant, &past), ETIMEDOUT);
    struct timespec negative = {-1, 0};
    CHECK_RC(lock_until(variant, &negative), ETIMEDOUT);
    for (int i = 0; i < 3; ++i) {
      long long start = now_ms();
      struct timespec soon = deadline_after_ms(clock, 20);
      CHECK_RC(lock_until(variant, &soon), ETIMEDOUT);
      CHECK(now_ms() - start >= 19);
    }
    struct timespec bad = deadline_after_ms(clock, 1000);
    bad.tv_nsec = 1000000000;
    CHECK_RC(lock_until(variant, &bad), EINVAL);
    bad.tv_nsec = -1;
    CHECK_RC(lock_until(variant, &bad), EINVAL);
    struct timespec later = deadline_after_ms(clock, 60000);
    CHECK_RC(pthread_mutex_clocklock(&g_mutex, CLOCK_PROCESS_CPUTIME_ID, &later), EINVAL);
    CHECK_OK(sem_post(&g_release));
    CHECK_RC(lock_until(variant, &later), 0);
    CHECK_RC(pthread_mutex_trylock(&g_mutex), EBUSY);
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
    join_thread(thread);
  }
  return arg;
}

int main(void) {
  CHECK_OK(sem_init(&g_held, 0, 0));
  CHECK_OK(sem_init(&g_release, 0, 0));
  check(NULL);
  join_thread(start_thread(check, NULL));
  return 0;
}
