// Programs count on the lowest free descriptor: whatever threads do, dup returns the number that is free, always. (A ring was opened in
// the place of a socket that CPython's test_ssl had just closed.)
#include "../check.h"

#include <stdatomic.h>

static atomic_int g_stop;

static void* compute(void* arg) {
  while (!atomic_load(&g_stop)) {
  }
  return arg;
}
static void* sleep_some(void* arg) {
  while (!atomic_load(&g_stop)) usleep(500);
  return arg;
}

int main(void) {
  int first = dup(0);
  CHECK_OK(first);
  CHECK_OK(close(first));
  pthread_t threads[8];
  for (int i = 0; i < 8; ++i) threads[i] = start_thread(i % 2 ? compute : sleep_some, NULL);
  int others = 0, before = first;
  for (int i = 0; i < 400; ++i) {
    int fd = dup(0);
    CHECK_OK(fd);
    others += fd != first && before == first;  // how often, however long: who sets something up may lose its CPU just then
    before = fd;
    CHECK_OK(close(fd));
    if (i % 4 == 0) usleep(200);
  }
  atomic_store(&g_stop, 1);
  for (int i = 0; i < 8; ++i) join_thread(threads[i]);
  // A number may be taken for microseconds while something is set up; it may not stay.
  CHECK(others <= 8);
  int last = dup(0);
  CHECK_EQ(last, first);
  return 0;
}
