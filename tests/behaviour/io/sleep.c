// nanosleep, clock_nanosleep (relative and absolute; CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CPU clocks),
// usleep, sleep: never too short, at once for what is past, errno kept, and what they refuse. nanosleep(2),
// clock_nanosleep(2), usleep(3), sleep(3).
#include "io.h"

static long long ns_on(clockid_t clock) {
  struct timespec t;
  CHECK_OK(clock_gettime(clock, &t));
  return t.tv_sec * 1000000000ll + t.tv_nsec;
}

enum { kMs = 1000000 };

static void* body(void* arg) {
  static const clockid_t kClocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};
  struct timespec t = {0, 3 * kMs}, left = {77, 77};
  long long start;
  errno = 123;
  start = ns_on(CLOCK_MONOTONIC);
  CHECK_EQ(nanosleep(&t, &left), 0);
  CHECK(ns_on(CLOCK_MONOTONIC) - start >= 3 * kMs);
  CHECK(left.tv_sec == 77 && left.tv_nsec == 77);
  CHECK_EQ(nanosleep(&(struct timespec){0, 0}, NULL), 0);
  CHECK_EQ(nanosleep(&(struct timespec){0, 1}, NULL), 0);
  for (int i = 0; i < 3; ++i) {
    start = ns_on(kClocks[i]);
    CHECK_RC(clock_nanosleep(kClocks[i], 0, &t, &left), 0);
    CHECK(ns_on(kClocks[i]) - start >= 3 * kMs);
    struct timespec until = deadline_after_ms(kClocks[i], 3);
    CHECK_RC(clock_nanosleep(kClocks[i], TIMER_ABSTIME, &until, &left), 0);
    CHECK(ns_on(kClocks[i]) >= until.tv_sec * 1000000000ll + until.tv_nsec);
    CHECK_RC(clock_nanosleep(kClocks[i], TIMER_ABSTIME, &until, NULL), 0);  // past now
    until = (struct timespec){0, 0};
    CHECK_RC(clock_nanosleep(kClocks[i], TIMER_ABSTIME, &until, NULL), 0);
    CHECK_RC(clock_nanosleep(kClocks[i], 0, &(struct timespec){0, 1000000000}, NULL), EINVAL);
    CHECK_RC(clock_nanosleep(kClocks[i], 0, &(struct timespec){-1, 0}, NULL), EINVAL);
    CHECK_RC(clock_nanosleep(kClocks[i], TIMER_ABSTIME, &(struct timespec){-1, 0}, NULL), EINVAL);
    CHECK_RC(clock_nanosleep(kClocks[i], TIMER_ABSTIME, &(struct timespec){5, -1}, NULL), EINVAL);
  }
  start = ns_on(CLOCK_MONOTONIC);
  CHECK_EQ(usleep(3000), 0);
  CHECK(ns_on(CLOCK_MONOTONIC) - start >= 3 * kMs);
  CHECK_EQ(usleep(0), 0);
  CHECK_EQ(sleep(0), 0);
  CHECK_EQ(errno, 123);
  CHECK_ERR(nanosleep(&(struct timespec){0, -1}, NULL), EINVAL);
  CHECK_ERR(nanosleep(&(struct timespec){0, 1000000000}, NULL), EINVAL);
  CHECK_ERR(nanosleep(&(struct timespec){-1, 0}, NULL), EINVAL);
  errno = 123;
  CHECK_RC(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL), EINVAL);
  CHECK_RC(clock_nanosleep(CLOCK_MONOTONIC_COARSE, 0, &t, NULL), EOPNOTSUPP);
  CHECK_RC(clock_nanosleep(CLOCK_MONOTONIC_RAW, 0, &t, NULL), EOPNOTSUPP);
  CHECK_RC(clock_nanosleep(999, 0, &t, NULL), EINVAL);
  CHECK_RC(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, &(struct timespec){0, 1}, NULL), 0);
  CHECK_EQ(errno, 123);
  return arg;
}

static volatile int stop;
static void* burn(void* arg) {
  while (!stop) {
  }
  return arg;
}

static void* sleep_on_cpu_time(void* arg) {
  long long start = ns_on(CLOCK_PROCESS_CPUTIME_ID);
  CHECK_RC(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &(struct timespec){0, 10 * kMs}, NULL), 0);
  CHECK(ns_on(CLOCK_PROCESS_CPUTIME_ID) - start >= 10 * kMs);
  return arg;
}

// A second, beside the others.
static void* sleeper(void* arg) {
  long long start = ns_on(CLOCK_MONOTONIC);
  CHECK_EQ(sleep(1), 0);
  CHECK(ns_on(CLOCK_MONOTONIC) - start >= 1000ll * kMs);
  return arg;
}

int main(void) {
  pthread_t one = start_thread(sleeper, NULL);
  run_everywhere(8, body);
  pthread_t hot = start_thread(burn, NULL), cool = start_thread(sleep_on_cpu_time, NULL);
  join_thread(cool);
  sleep_on_cpu_time(NULL);
  stop = 1;
  join_thread(hot);
  join_thread(one);
  return 0;
}
