// pthread_setattr_default_np(3), pthread_getattr_default_np: threads created with a NULL attr get the new default stack
// size; a default stack address can't be set (EINVAL).
#include "../check.h"

#include <stdint.h>

enum { kSize = 24 << 20 };

static void* stack_size(void* arg) {
  (void)arg;
  pthread_attr_t attr;
  size_t size = 0;
  CHECK_RC(pthread_getattr_np(pthread_self(), &attr), 0);
  CHECK_RC(pthread_attr_getstacksize(&attr, &size), 0);
  CHECK_RC(pthread_attr_destroy(&attr), 0);
  return (void*)size;
}

int main(void) {
  pthread_attr_t attr;
  CHECK_RC(pthread_attr_init(&attr), 0);
  static char stack[256 * 1024] __attribute__((aligned(4096)));
  CHECK_RC(pthread_attr_setstack(&attr, stack, sizeof stack), 0);
  CHECK_RC(pthread_setattr_default_np(&attr), EINVAL);
  CHECK_RC(pthread_attr_destroy(&attr), 0);

  CHECK_RC(pthread_attr_init(&attr), 0);
  CHECK_RC(pthread_attr_setstacksize(&attr, kSize), 0);
  CHECK_RC(pthread_setattr_default_np(&attr), 0);
  CHECK_RC(pthread_attr_destroy(&attr), 0);

  CHECK_RC(pthread_getattr_default_np(&attr), 0);
  size_t size = 0;
  CHECK_RC(pthread_attr_getstacksize(&attr, &size), 0);
  CHECK_EQ(size, kSize);
  CHECK_RC(pthread_attr_destroy(&attr), 0);

  size = (size_t)(uintptr_t)join_thread(start_thread(stack_size, NULL));
  CHECK(size >= kSize);
  CHECK(size < kSize + (1 << 20));
  return 0;
}
