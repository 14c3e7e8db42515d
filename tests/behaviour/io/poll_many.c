// Threads that each watch the same 100 descriptors and more, by poll, select and epoll_wait: whichever becomes ready is
// found, again and again, and what was only watched is unharmed. poll(2).
#include "io.h"

#include <sys/epoll.h>
#include <sys/select.h>

enum { kFds = 120, kWays = 3, kHops = 40 };

typedef struct {
  int way, ends[kFds][2];
} Group;

static int next_ready(Group* g, int epoll) {
  if (g->way == 0) {
    struct pollfd fds[kFds];
    for (int i = 0; i < kFds; ++i) fds[i] = (struct pollfd){g->ends[i][0], POLLIN, 0};
    CHECK_EQ(poll(fds, kFds, -1), 1);
    for (int i = 0; i < kFds; ++i)
      if (fds[i].revents) return i;
  } else if (g->way == 1) {
    fd_set set;
    FD_ZERO(&set);
    for (int i = 0; i < kFds; ++i) FD_SET(g->ends[i][0], &set);
    CHECK_EQ(select(FD_SETSIZE, &set, NULL, NULL, NULL), 1);
    for (int i = 0; i < kFds; ++i)
      if (FD_ISSET(g->ends[i][0], &set)) return i;
  } else {
    struct epoll_event event;
    CHECK_EQ(epoll_wait(epoll, &event, 1, -1), 1);
    return event.data.fd;
  }
  return -1;
}

static void* watcher(void* arg) {
  Group* g = arg;
  int epoll = epoll_create1(0);
  for (int i = 0; i < kFds && g->way == 2; ++i) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = i};
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, g->ends[i][0], &event));
  }
  for (int hop = 0; hop < kHops; ++hop) {
    char c;
    int i = next_ready(g, epoll);
    CHECK_EQ(i, hop * 37 % kFds);
    CHECK_EQ(read(g->ends[i][0], &c, 1), 1);
    if (hop + 1 < kHops) CHECK_EQ(write(g->ends[(hop + 1) * 37 % kFds][1], "x", 1), 1);
  }
  CHECK_OK(close(epoll));
  return NULL;
}

// Writes a little later than the watcher waits, as it may be.
static void* starter(void* arg) {
  Group* g = arg;
  sleep_ms(2);
  CHECK_EQ(write(g->ends[0][1], "x", 1), 1);
  return NULL;
}

int main(void) {
  static Group groups[kWays];
  pthread_t watchers[kWays], starters[kWays];
  for (int w = 0; w < kWays; ++w) {
    groups[w].way = w;
    for (int i = 0; i < kFds; ++i) CHECK_OK(pipe(groups[w].ends[i]));
  }
  for (int w = 0; w < kWays; ++w) {
    watchers[w] = start_thread(watcher, &groups[w]);
    starters[w] = start_thread(starter, &groups[w]);
  }
  for (int w = 0; w < kWays; ++w) {
    join_thread(watchers[w]);
    join_thread(starters[w]);
    starter(&groups[w]);
    watcher(&groups[w]);
  }
  return 0;
}
