// A call that succeeds leaves errno alone, whether it waited or not: each family that isn't told of elsewhere, through
// parks.
#include "io.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/timerfd.h>

#define KEEPS(call, result) \
  do {                      \
    errno = 123;            \
    CHECK_EQ(call, result); \
    CHECK_EQ(errno, 123);   \
  } while (0)

static void* late_writer(void* arg) {
  sleep_ms(1);
  KEEPS(write(*(int*)arg, "abcd", 4), 4);
  return NULL;
}

static void* add_late(void* arg) {
  uint64_t two = 2;
  sleep_ms(1);
  KEEPS(write(*(int*)arg, &two, 8), 8);
  return NULL;
}

static void* take_late(void* arg) {
  uint64_t all;
  sleep_ms(1);
  KEEPS(read(*(int*)arg, &all, 8), 8);
  return NULL;
}

static void* body(void* arg) {
  int pair[2], epoll = epoll_create1(0);
  char buffer[4];
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  struct epoll_event event = {.events = EPOLLIN};
  KEEPS(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event), 0);
  for (int what = 0; what < 6; ++what) {
    struct pollfd p = {pair[0], POLLIN, 0};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(pair[0], &set);
    pthread_t writer = start_thread(late_writer, &pair[1]);
    if (what == 0) KEEPS(poll(&p, 1, -1), 1);
    if (what == 1) KEEPS(ppoll(&p, 1, NULL, NULL), 1);
    if (what == 2) KEEPS(select(pair[0] + 1, &set, NULL, NULL, NULL), 1);
    if (what == 3) KEEPS(pselect(pair[0] + 1, &set, NULL, NULL, NULL, NULL), 1);
    if (what == 4) KEEPS(epoll_wait(epoll, &event, 1, -1), 1);
    KEEPS(recv(pair[0], buffer, 4, MSG_WAITALL), 4);
    join_thread(writer);
    KEEPS(poll(&p, 1, 2), 0);
    FD_SET(pair[0], &set);
    KEEPS(select(pair[0] + 1, &set, NULL, NULL, &(struct timeval){0, 2000}), 0);
    KEEPS(epoll_wait(epoll, &event, 1, 2), 0);
  }
  KEEPS(shutdown(pair[1], SHUT_WR), 0);
  KEEPS(read(pair[0], buffer, 4), 0);
  KEEPS(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
  KEEPS(read(pair[0], buffer, 4), 0);
  KEEPS(close(epoll), 0);
  close_both(pair);
  // An eventfd's reader and writer both wait; a timer's reader does.
  uint64_t count;
  int fd = eventfd(0, 0);
  pthread_t other = start_thread(add_late, &fd);
  KEEPS(read(fd, &count, 8), 8);
  CHECK_EQ(count, 2);
  join_thread(other);
  count = UINT64_MAX - 1;
  KEEPS(write(fd, &count, 8), 8);
  other = start_thread(take_late, &fd);
  count = 1;
  KEEPS(write(fd, &count, 8), 8);
  join_thread(other);
  KEEPS(close(fd), 0);
  fd = timerfd_create(CLOCK_MONOTONIC, 0);
  KEEPS(timerfd_settime(fd, 0, &(struct itimerspec){.it_value.tv_nsec = 2000000}, NULL), 0);
  KEEPS(read(fd, &count, 8), 8);
  CHECK_EQ(count, 1);
  KEEPS(close(fd), 0);
  // A stream that has no descriptor.
  char text[16];
  FILE* stream = fmemopen(text, sizeof text, "w");
  CHECK(stream != NULL);
  KEEPS(fclose(stream), 0);
  stream = popen("exit 3", "r");
  CHECK(stream != NULL);
  KEEPS(pclose(stream), 3 << 8);
  return arg;
}

int main(void) {
  run_everywhere(4, body);
  return 0;
}
