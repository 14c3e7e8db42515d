// sem_init(3), sem_wait(3), sem_trywait, sem_timedwait, sem_clockwait, sem_post(3), sem_getvalue(3): values and errors.
#include "../check.h"

#include <limits.h>
#include <semaphore.h>

static sem_t g_later;

static void* post_later(void* arg) {
  sleep_ms(10);
  CHECK_OK(sem_post(&g_later));
  return arg;
}

static int value_of(sem_t* sem) {
  int value = -1;
  CHECK_OK(sem_getvalue(sem, &value));
  return value;
}

static int wait_until(int variant, sem_t* sem, const struct timespec* deadline) {
  if (variant == 0) return sem_timedwait(sem, deadline);
  return sem_clockwait(sem, variant == 1 ? CLOCK_REALTIME : CLOCK_MONOTONIC, deadline);
}

static void* check(void* arg) {
  sem_t sem;
  CHECK_ERR(sem_init(&sem, 0, (unsigned)SEM_VALUE_MAX + 1), EINVAL);
  CHECK_OK(sem_init(&sem, 0, 3));
  CHECK_EQ(value_of(&sem), 3);
  errno = 123;
  CHECK_EQ(sem_wait(&sem), 0);
  CHECK_EQ(sem_trywait(&sem), 0);
  CHECK_EQ(sem_wait(&sem), 0);
  CHECK_EQ(errno, 123);
  CHECK_ERR(sem_trywait(&sem), EAGAIN);
  CHECK_EQ(value_of(&sem), 0);
  for (int i = 0; i < 5; ++i) CHECK_OK(sem_post(&sem));
  CHECK_EQ(value_of(&sem), 5);
  CHECK_OK(sem_destroy(&sem));

  CHECK_OK(sem_init(&sem, 0, SEM_VALUE_MAX));
  CHECK_EQ(value_of(&sem), SEM_VALUE_MAX);
  CHECK_ERR(sem_post(&sem), EOVERFLOW);
  CHECK_OK(sem_trywait(&sem));
  CHECK_OK(sem_post(&sem));
  CHECK_EQ(value_of(&sem), SEM_VALUE_MAX);
  CHECK_OK(sem_destroy(&sem));

  CHECK_OK(sem_init(&sem, 0, 0));
  for (int variant = 0; variant < 3; ++variant) {
    clockid_t clock = variant == 2 ? CLOCK_MONOTONIC : CLOCK_REALTIME;
    struct timespec past = deadline_after_ms(clock, -1000);
    CHECK_OK(sem_post(&sem));
    CHECK_OK(wait_until(variant, &sem, &past));
    CHECK_ERR(wait_until(variant, &sem, &past), ETIMEDOUT);
    long long start = now_ms();
    struct timespec soon = deadline_after_ms(clock, 20);
    CHECK_ERR(wait_until(variant, &sem, &soon), ETIMEDOUT);
    CHECK(now_ms() - start >= 19);
    struct timespec bad = deadline_after_ms(clock, 1000);
    bad.tv_nsec = 1000000000;
    CHECK_ERR(wait_until(variant, &sem, &bad), EINVAL);
    bad.tv_nsec = -1;
    CHECK_ERR(wait_until(variant, &sem, &bad), EINVAL);
    struct timespec later = deadline_after_ms(clock, 60000);
    CHECK_ERR(sem_clockwait(&sem, CLOCK_PROCESS_CPUTIME_ID, &later), EINVAL);
    pthread_t poster = start_thread(post_later, NULL);
    CHECK_OK(wait_until(variant, &g_later, &later));
    join_thread(poster);
    CHECK_EQ(value_of(&g_later), 0);
    CHECK_EQ(value_of(&sem), 0);
  }
  CHECK_OK(sem_destroy(&sem));
  return arg;
}

int main(void) {
  CHECK_OK(sem_init(&g_later, 0, 0));
  check(NULL);
  join_thread(start_thread(check, NULL));
  return 0;
}
