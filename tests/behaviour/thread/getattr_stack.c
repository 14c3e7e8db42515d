// What pthread_getattr_np(3) tells of a stack can be used: whole pages, on whose low end a runtime puts guard pages of its own, by mprotect or by a
// mapping in their place; what it tells is as much as was asked for, and the next thread on that stack finds it whole.
#include "../check.h"

#include <sys/mman.h>

enum { kPage = 4096, kGuards = 4 * kPage };

static void* body(void* arg) {
  size_t wanted = *(size_t*)arg, size, guard;
  pthread_attr_t attr;
  void* low;
  CHECK_RC(pthread_getattr_np(pthread_self(), &attr), 0);
  CHECK_RC(pthread_attr_getstack(&attr, &low, &size), 0);
  CHECK_RC(pthread_attr_getguardsize(&attr, &guard), 0);
  CHECK_RC(pthread_attr_destroy(&attr), 0);
  CHECK_EQ((size_t)low % kPage, 0);
  CHECK_EQ(size % kPage, 0);
  CHECK(size >= wanted && size <= wanted + guard + kPage);
  char here;
  CHECK(&here > (char*)low + kGuards && &here < (char*)low + size);
  CHECK_OK(mprotect(low, kGuards, PROT_NONE));
  CHECK_OK(mprotect(low, kGuards, PROT_READ | PROT_WRITE));
  CHECK(mmap(low, kGuards, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0) == low);
  memset(low, 1, kGuards);
  return arg;
}

int main(void) {
  static size_t sizes[] = {64 << 10, 100 << 10, 1 << 20, (1 << 20) + kPage, 8 << 20};
  for (int round = 0; round < 3; ++round)
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
      pthread_attr_t attr;
      pthread_t threads[4];
      CHECK_RC(pthread_attr_init(&attr), 0);
      CHECK_RC(pthread_attr_setstacksize(&attr, sizes[i]), 0);
      for (int t = 0; t < 4; ++t) CHECK_RC(pthread_create(&threads[t], &attr, body, &sizes[i]), 0);
      for (int t = 0; t < 4; ++t) join_thread(threads[t]);
      CHECK_RC(pthread_attr_destroy(&attr), 0);
    }
  return 0;
}
