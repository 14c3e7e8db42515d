// pthread_cond_timedwait(3), pthread_cond_clockwait, pthread_condattr_setclock(3): ETIMEDOUT not before the deadline on
// either clock, with the mutex held again; EINVAL for a bad tv_nsec or clock; 0 when signalled in time.
#include "../check.h"

#include <stdatomic.h>

static pthread_mutex_t g_mutex = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static pthread_cond_t g_realtime;
static pthread_cond_t g_monotonic;
static pthread_cond_t* g_cond;
static int g_flag;

static void* set_flag(void* arg) {
  sleep_ms(10);
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  g_flag = 1;
  CHECK_RC(pthread_cond_signal(g_cond), 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  return arg;
}

// Variants: 0, 1 timedwait on a cond with that clock; 2, 3 clockwait with that clock, on conds of either kind.
static clockid_t clock_of(int variant) { return variant % 2 ? CLOCK_MONOTONIC : CLOCK_REALTIME; }

static int wait_until(int variant, const struct timespec* deadline) {
  if (variant < 2) return pthread_cond_timedwait(g_cond, &g_mutex, deadline);
  return pthread_cond_clockwait(g_cond, &g_mutex, clock_of(variant), deadline);
}

static void check(int variant) {
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  struct timespec past = deadline_after_ms(clock_of(variant), -1000);
  CHECK_RC(wait_until(variant, &past), ETIMEDOUT);
  CHECK_RC(pthread_mutex_lock(&g_mutex), EDEADLK);  // held by us
  struct timespec bad = deadline_after_ms(clock_of(variant), 1000);
  bad.tv_nsec = 1000000000;
  CHECK_RC(wait_until(variant, &bad), EINVAL);
  CHECK_RC(pthread_mutex_lock(&g_mutex), EDEADLK);
  bad.tv_nsec = -1;
  CHECK_RC(wait_until(variant, &bad), EINVAL);

  long long start = now_ms();
  struct timespec soon = deadline_after_ms(clock_of(variant), 30);
  int rc;
  while ((rc = wait_until(variant, &soon)) == 0) {  // a spurious wake-up
  }
  CHECK_RC(rc, ETIMEDOUT);
  CHECK(now_ms() - start >= 29);
  CHECK_RC(pthread_mutex_lock(&g_mutex), EDEADLK);

  g_flag = 0;
  pthread_t setter = start_thread(set_flag, NULL);
  struct timespec later = deadline_after_ms(clock_of(variant), 60000);
  while (!g_flag) CHECK_RC(wait_until(variant, &later), 0);
  CHECK_RC(pthread_mutex_lock(&g_mutex), EDEADLK);
  CHECK_RC(pthread_cond_clockwait(g_cond, &g_mutex, CLOCK_THREAD_CPUTIME_ID, &later), EINVAL);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  join_thread(setter);
}

static void* check_all(void* arg) {
  g_cond = &g_realtime;
  check(0);
  check(2);
  check(3);
  g_cond = &g_monotonic;
  check(1);
  check(2);
  check(3);
  return arg;
}

int main(void) {
  pthread_condattr_t attr;
  clockid_t clock = -1;
  CHECK_RC(pthread_condattr_init(&attr), 0);
  CHECK_RC(pthread_condattr_getclock(&attr, &clock), 0);
  CHECK_EQ(clock, CLOCK_REALTIME);
  CHECK_RC(pthread_condattr_setclock(&attr, CLOCK_PROCESS_CPUTIME_ID), EINVAL);
  CHECK_RC(pthread_cond_init(&g_realtime, &attr), 0);
  CHECK_RC(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC), 0);
  CHECK_RC(pthread_condattr_getclock(&attr, &clock), 0);
  CHECK_EQ(clock, CLOCK_MONOTONIC);
  CHECK_RC(pthread_cond_init(&g_monotonic, &attr), 0);
  CHECK_RC(pthread_condattr_destroy(&attr), 0);
  check_all(NULL);
  join_thread(start_thread(check_all, NULL));
  CHECK_RC(pthread_cond_destroy(&g_realtime), 0);
  CHECK_RC(pthread_cond_destroy(&g_monotonic), 0);
  return 0;
}
