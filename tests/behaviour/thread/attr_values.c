// pthread_attr_init(3) and the pthread_attr_set*/get* family: defaults as glibc documents them, values kept, EINVAL and
// ENOTSUP where the man pages say so; the default stack size is RLIMIT_STACK.
#include "../check.h"

#include <limits.h>
#include <sched.h>
#include <sys/resource.h>

int main(void) {
  pthread_attr_t attr;
  CHECK_RC(pthread_attr_init(&attr), 0);
  int value = -1;
  CHECK_RC(pthread_attr_getdetachstate(&attr, &value), 0);
  CHECK_EQ(value, PTHREAD_CREATE_JOINABLE);
  CHECK_RC(pthread_attr_getinheritsched(&attr, &value), 0);
  CHECK_EQ(value, PTHREAD_INHERIT_SCHED);
  CHECK_RC(pthread_attr_getschedpolicy(&attr, &value), 0);
  CHECK_EQ(value, SCHED_OTHER);
  CHECK_RC(pthread_attr_getscope(&attr, &value), 0);
  CHECK_EQ(value, PTHREAD_SCOPE_SYSTEM);
  size_t size = 0;
  CHECK_RC(pthread_attr_getguardsize(&attr, &size), 0);
  CHECK_EQ(size, sysconf(_SC_PAGESIZE));
  struct rlimit limit;
  CHECK_OK(getrlimit(RLIMIT_STACK, &limit));
  CHECK_RC(pthread_attr_getstacksize(&attr, &size), 0);
  if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur % 4096 == 0) CHECK_EQ(size, limit.rlim_cur);

  CHECK_RC(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED), 0);
  CHECK_RC(pthread_attr_getdetachstate(&attr, &value), 0);
  CHECK_EQ(value, PTHREAD_CREATE_DETACHED);
  CHECK_RC(pthread_attr_setdetachstate(&attr, 17), EINVAL);

  CHECK_RC(pthread_attr_setstacksize(&attr, 123 * 4096), 0);
  CHECK_RC(pthread_attr_getstacksize(&attr, &size), 0);
  CHECK_EQ(size, 123 * 4096);
  CHECK_RC(pthread_attr_setstacksize(&attr, (size_t)PTHREAD_STACK_MIN - 1), EINVAL);
  CHECK_RC(pthread_attr_getstacksize(&attr, &size), 0);
  CHECK_EQ(size, 123 * 4096);

  CHECK_RC(pthread_attr_setguardsize(&attr, 3 * 4096), 0);
  CHECK_RC(pthread_attr_getguardsize(&attr, &size), 0);
  CHECK_EQ(size, 3 * 4096);

  static char stack[256 * 1024] __attribute__((aligned(4096)));
  void* where = NULL;
  CHECK_RC(pthread_attr_setstack(&attr, stack, sizeof stack), 0);
  CHECK_RC(pthread_attr_getstack(&attr, &where, &size), 0);
  CHECK(where == stack);
  CHECK_EQ(size, sizeof stack);
  CHECK_RC(pthread_attr_setstack(&attr, stack, 100), EINVAL);

  CHECK_RC(pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED), 0);
  CHECK_RC(pthread_attr_getinheritsched(&attr, &value), 0);
  CHECK_EQ(value, PTHREAD_EXPLICIT_SCHED);
  CHECK_RC(pthread_attr_setinheritsched(&attr, 17), EINVAL);
  CHECK_RC(pthread_attr_setschedpolicy(&attr, SCHED_RR), 0);
  CHECK_RC(pthread_attr_getschedpolicy(&attr, &value), 0);
  CHECK_EQ(value, SCHED_RR);
  CHECK_RC(pthread_attr_setschedpolicy(&attr, 1717), EINVAL);
  struct sched_param param = {.sched_priority = 5};
  CHECK_RC(pthread_attr_setschedparam(&attr, &param), 0);
  param.sched_priority = 0;
  CHECK_RC(pthread_attr_getschedparam(&attr, &param), 0);
  CHECK_EQ(param.sched_priority, 5);
  CHECK_RC(pthread_attr_setscope(&attr, PTHREAD_SCOPE_PROCESS), ENOTSUP);
  CHECK_RC(pthread_attr_setscope(&attr, 17), EINVAL);
  CHECK_RC(pthread_attr_destroy(&attr), 0);
  return 0;
}
