// pthread_rwlock_timedrdlock(3), timedwrlock, clockrdlock, clockwrlock: ETIMEDOUT not before the deadline on both
// clocks, 0 when free or freed in time, EDEADLK for the writer itself, EINVAL for a bad tv_nsec or clock.
#include "../check.h"

#include <semaphore.h>

static pthread_rwlock_t g_lock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t g_held;
static sem_t g_release;
static int g_hold_as_writer;

static void* holder(void* arg) {
  if (g_hold_as_writer)
    CHECK_RC(pthread_rwlock_wrlock(&g_lock), 0);
  else
    CHECK_RC(pthread_rwlock_rdlock(&g_lock), 0);
  CHECK_OK(sem_post(&g_held));
  CHECK_OK(sem_wait(&g_release));
  sleep_ms(10);
  CHECK_RC(pthread_rwlock_unlock(&g_lock), 0);
  return arg;
}

// Variants: bit 0: write; 0/2: timed, 2: clock REALTIME, 4: clock MONOTONIC.
static clockid_t clock_of(int variant) { return variant >= 4 ? CLOCK_MONOTONIC : CLOCK_REALTIME; }

static int lock_until(int variant, const struct timespec* deadline) {
  switch (variant) {
    case 0:
      return pthread_rwlock_timedrdlock(&g_lock, deadline);
    case 1:
      return pthread_rwlock_timedwrlock(&g_lock, deadline);
    case 2:
    case 4:
      return pthread_rwlock_clockrdlock(&g_lock, clock_of(variant), deadline);
    default:
      return pthread_rwlock_clockwrlock(&g_lock, clock_of(variant), deadline);
  }
}

static void* check(void* arg) {
  for (int variant = 0; variant < 6; ++variant) {
    struct timespec past = deadline_after_ms(clock_of(variant), -1000);
    CHECK_RC(lock_until(variant, &past), 0);
    CHECK_RC(pthread_rwlock_unlock(&g_lock), 0);
    for (g_hold_as_writer = variant % 2 ? 0 : 1; g_hold_as_writer < 2; ++g_hold_as_writer) {
      pthread_t thread = start_thread(holder, NULL);
      CHECK_OK(sem_wait(&g_held));
      CHECK_RC(lock_until(variant, &past), ETIMEDOUT);
      long long start = now_ms();
      struct timespec soon = deadline_after_ms(clock_of(variant), 20);
      CHECK_RC(lock_until(variant, &soon), ETIMEDOUT);
      CHECK(now_ms() - start >= 19);
      struct timespec bad = deadline_after_ms(clock_of(variant), 1000);
      bad.tv_nsec = 1000000000;
      CHECK_RC(lock_until(variant, &bad), EINVAL);
      struct timespec later = deadline_after_ms(clock_of(variant), 60000);
      CHECK_RC(pthread_rwlock_clockrdlock(&g_lock, CLOCK_PROCESS_CPUTIME_ID, &later), EINVAL);
      CHECK_RC(pthread_rwlock_clockwrlock(&g_lock, CLOCK_PROCESS_CPUTIME_ID, &later), EINVAL);
      CHECK_OK(sem_post(&g_release));
      CHECK_RC(lock_until(variant, &later), 0);
      CHECK_RC(pthread_rwlock_unlock(&g_lock), 0);
      join_thread(thread);
    }
    CHECK_RC(pthread_rwlock_wrlock(&g_lock), 0);
    struct timespec later = deadline_after_ms(clock_of(variant), 60000);
    CHECK_RC(lock_until(variant, &later), EDEADLK);
    CHECK_RC(pthread_rwlock_unlock(&g_lock), 0);
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
