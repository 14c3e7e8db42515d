// eventfd_read and eventfd_write of many threads: each waits for its turn to come round a ring of eventfds, and for room in one. eventfd(3).
#include "io.h"

#include <sys/eventfd.h>

enum { kThreads = 200, kRounds = 20 };

static int g_events[kThreads], g_done;

static void* hand_on(void* arg) {
  long me = (long)arg;
  for (eventfd_t i = 1; i <= kRounds; ++i) {
    eventfd_t value = 0;
    errno = 123;
    CHECK_EQ(eventfd_read(g_events[me], &value), 0);
    CHECK_EQ(value, i);
    CHECK_EQ(errno, 123);
    CHECK_EQ(eventfd_write(me + 1 < kThreads ? g_events[me + 1] : g_done, value), 0);
  }
  return arg;
}

static void* fill(void* arg) {
  int full = *(int*)arg;
  CHECK_EQ(eventfd_write(full, UINT64_MAX - 1), 0);
  CHECK_EQ(eventfd_write(full, 5), 0);  // waits
  return NULL;
}

int main(void) {
  pthread_t threads[kThreads];
  CHECK((g_done = eventfd(0, 0)) >= 0);
  for (long i = 0; i < kThreads; ++i) {
    CHECK((g_events[i] = eventfd(0, 0)) >= 0);
    threads[i] = start_thread(hand_on, (void*)i);
  }
  for (eventfd_t i = 1; i <= kRounds; ++i) {  // one at a time: they would add up
    eventfd_t value = 0;
    CHECK_EQ(eventfd_write(g_events[0], i), 0);
    CHECK_EQ(eventfd_read(g_done, &value), 0);
    CHECK_EQ(value, i);
  }
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);

  int full = eventfd(0, 0);
  pthread_t writer = start_thread(fill, &full);
  eventfd_t value = 0;
  CHECK_EQ(eventfd_read(full, &value), 0);
  CHECK_EQ(value, UINT64_MAX - 1);
  CHECK_EQ(eventfd_read(full, &value), 0);
  CHECK_EQ(value, 5);
  join_thread(writer);
  CHECK_ERR(eventfd_read(-1, &value), EBADF);
  CHECK_ERR(eventfd_write(-1, 1), EBADF);
  CHECK_ERR(eventfd_write(full, UINT64_MAX), EINVAL);
  return 0;
}
