// epoll_wait into thread-local memory: each of many threads that wait at the same time finds its own events there, however often it has
// waited before. epoll_wait(2).
#include "io.h"

#include <sys/epoll.h>

enum { kThreads = 12, kRounds = 20 };
static _Thread_local struct epoll_event events[2];
static int pipes[kThreads][2];

static void* wait_and_pass(void* arg) {
  int me = (int)(intptr_t)arg, set = epoll_create1(0);
  struct epoll_event wanted = {.events = EPOLLIN, .data.u32 = (uint32_t)(me + 1000)};
  CHECK_OK(epoll_ctl(set, EPOLL_CTL_ADD, pipes[me][0], &wanted));
  for (int round = 0; round < kRounds; ++round) {
    memset(events, 0, sizeof events);
    CHECK_EQ(epoll_wait(set, events, 2, -1), 1);
    CHECK_EQ(events[0].data.u32, me + 1000);
    CHECK_EQ(events[0].events, EPOLLIN);
    CHECK_EQ(events[1].events, 0);
    char token;
    CHECK_EQ(read(pipes[me][0], &token, 1), 1);
    CHECK_EQ(write(pipes[(me + 1) % kThreads][1], &token, 1), 1);
  }
  CHECK_OK(close(set));
  return NULL;
}

int main(void) {
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) CHECK_OK(pipe(pipes[i]));
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(wait_and_pass, (void*)(intptr_t)i);
  for (int i = 0; i < kThreads; i += 3) CHECK_EQ(write(pipes[i][1], "x", 1), 1);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  return 0;
}
