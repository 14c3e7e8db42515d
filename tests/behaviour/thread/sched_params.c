// pthread_getschedparam, pthread_setschedparam, pthread_setschedprio, sched_getscheduler and their like on threads: errors, what is kept, what a
// new thread inherits or is created with; pthread_setconcurrency.
#include "../check.h"

#include <sched.h>
#include <sys/resource.h>

static void expect(pthread_t thread, int policy, int priority) {
  int now = -1;
  struct sched_param param = {-1};
  CHECK_RC(pthread_getschedparam(thread, &now, &param), 0);
  CHECK_EQ(now, policy);
  CHECK_EQ(param.sched_priority, priority);
}

static void* same(void* arg) {
  expect(pthread_self(), *(int*)arg, *(int*)arg == SCHED_OTHER || *(int*)arg == SCHED_BATCH ? 0 : 3);
  return arg;
}

static void* run(void* arg) {
  struct sched_param param = {0}, three = {3};
  expect(pthread_self(), SCHED_OTHER, 0);
  CHECK_EQ(sched_getscheduler(0), SCHED_OTHER);
  CHECK_EQ(sched_getscheduler(gettid()), SCHED_OTHER);
  CHECK_OK(sched_getparam(0, &param));
  CHECK_EQ(param.sched_priority, 0);
  CHECK_RC(pthread_setschedparam(pthread_self(), 77, &param), EINVAL);
  CHECK_RC(pthread_setschedparam(pthread_self(), SCHED_OTHER, &three), EINVAL);
  CHECK_RC(pthread_setschedparam(pthread_self(), SCHED_FIFO, &param), EINVAL);
  CHECK_RC(pthread_setschedprio(pthread_self(), 3), EINVAL);
  CHECK_RC(pthread_setschedprio(pthread_self(), 0), 0);
  CHECK_ERR(sched_setscheduler(0, SCHED_OTHER, &three), EINVAL);
  CHECK_RC(pthread_setschedparam(pthread_self(), SCHED_BATCH, &param), 0);
  expect(pthread_self(), SCHED_BATCH, 0);
  int batch = SCHED_BATCH, fifo = SCHED_FIFO, other = SCHED_OTHER;
  join_thread(start_thread(same, &batch));
  pthread_attr_t attr;
  CHECK_RC(pthread_attr_init(&attr), 0);
  CHECK_RC(pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED), 0);
  CHECK_RC(pthread_attr_setschedpolicy(&attr, SCHED_OTHER), 0);
  pthread_t t;
  CHECK_RC(pthread_create(&t, &attr, same, &other), 0);
  join_thread(t);
  struct rlimit limit;
  CHECK_OK(getrlimit(RLIMIT_RTPRIO, &limit));
  int r = pthread_setschedparam(pthread_self(), SCHED_FIFO, &three);
  if (r == 0) {
    expect(pthread_self(), SCHED_FIFO, 3);
    join_thread(start_thread(same, &fifo));
    CHECK_OK(sched_setscheduler(0, SCHED_OTHER, &param));
  } else {
    CHECK_EQ(r, EPERM);
    expect(pthread_self(), SCHED_BATCH, 0);
  }
  return arg;
}

int main(void) {
  join_thread(start_thread(run, NULL));
  int before = sched_getscheduler(0);
  CHECK_EQ(before, SCHED_OTHER);
  CHECK_RC(pthread_setconcurrency(-1), EINVAL);
  CHECK_RC(pthread_setconcurrency(7), 0);
  CHECK_EQ(pthread_getconcurrency(), 7);
  return 0;
}
