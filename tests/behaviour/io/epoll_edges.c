// epoll_wait, epoll_pwait, epoll_pwait2: no time, some, for ever; EPOLLET, EPOLLONESHOT, fewer places than events,
// changes while a thread waits, an epoll in an epoll, ends, and what they refuse. epoll(7), epoll_wait(2).
#include "io.h"

#include <sys/epoll.h>

static int ask(int way, int epoll, struct epoll_event* events, int max, int ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  if (way == 0) return epoll_wait(epoll, events, max, ms);
  if (way == 1) return epoll_pwait(epoll, events, max, ms, NULL);
  return epoll_pwait2(epoll, events, max, ms < 0 ? NULL : &t, NULL);
}

static void control(int epoll, int operation, int fd, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  CHECK_OK(epoll_ctl(epoll, operation, fd, &event));
}

static void* late_writer(void* arg) {
  sleep_ms(2);
  CHECK_EQ(write(*(int*)arg, "x", 1), 1);
  return NULL;
}

typedef struct {
  int epoll, fd;
} Add;

static void* late_add(void* arg) {
  Add* add = arg;
  sleep_ms(2);
  control(add->epoll, EPOLL_CTL_ADD, add->fd, EPOLLOUT);
  return NULL;
}

static void test(int way) {
  int epoll = epoll_create1(EPOLL_CLOEXEC), a[2], b[2];
  struct epoll_event out[4];
  char c;
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, a));
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, b));
  errno = 123;
  CHECK_EQ(ask(way, epoll, out, 4, 0), 0);
  long long start = now_ms();
  CHECK_EQ(ask(way, epoll, out, 4, 10), 0);  // nobody is in it
  CHECK(now_ms() - start >= 10);
  control(epoll, EPOLL_CTL_ADD, a[0], EPOLLIN);
  control(epoll, EPOLL_CTL_ADD, b[0], EPOLLIN);
  start = now_ms();
  CHECK_EQ(ask(way, epoll, out, 4, 10), 0);
  CHECK(now_ms() - start >= 10);
  pthread_t writer = start_thread(late_writer, &a[1]);
  CHECK_EQ(ask(way, epoll, out, 4, -1), 1);
  CHECK_EQ(out[0].data.fd, a[0]);
  CHECK_EQ(out[0].events, EPOLLIN);
  join_thread(writer);
  // Level: told again. Fewer places than events: the others come next.
  CHECK_EQ(write(b[1], "y", 1), 1);
  CHECK_EQ(ask(way, epoll, out, 4, -1), 2);
  CHECK_EQ(ask(way, epoll, &out[0], 1, -1), 1);
  CHECK_EQ(ask(way, epoll, &out[1], 1, -1), 1);
  CHECK(out[0].data.fd != out[1].data.fd);
  CHECK_EQ(read(a[0], &c, 1) + read(b[0], &c, 1), 2);
  // Edge: once for each time that something comes.
  control(epoll, EPOLL_CTL_MOD, a[0], EPOLLIN | EPOLLET);
  for (int i = 0; i < 3; ++i) {
    writer = start_thread(late_writer, &a[1]);
    CHECK_EQ(ask(way, epoll, out, 4, -1), 1);
    join_thread(writer);
    CHECK_EQ(ask(way, epoll, out, 4, 0), 0);
    CHECK_EQ(ask(way, epoll, out, 4, 2), 0);
  }
  CHECK_EQ(recv(a[0], out, 3, MSG_WAITALL), 3);
  // Once, until asked for again.
  control(epoll, EPOLL_CTL_MOD, a[0], EPOLLIN | EPOLLONESHOT);
  writer = start_thread(late_writer, &a[1]);
  CHECK_EQ(ask(way, epoll, out, 4, -1), 1);
  join_thread(writer);
  CHECK_EQ(ask(way, epoll, out, 4, 5), 0);
  control(epoll, EPOLL_CTL_MOD, a[0], EPOLLIN | EPOLLONESHOT);
  CHECK_EQ(ask(way, epoll, out, 4, -1), 1);
  CHECK_EQ(read(a[0], &c, 1), 1);
  // One is added, and is ready, while a thread waits.
  control(epoll, EPOLL_CTL_DEL, a[0], 0);
  Add add = {epoll, a[0]};
  pthread_t adder = start_thread(late_add, &add);
  CHECK_EQ(ask(way, epoll, out, 4, -1), 1);
  CHECK_EQ(out[0].data.fd, a[0]);
  CHECK_EQ(out[0].events, EPOLLOUT);
  join_thread(adder);
  control(epoll, EPOLL_CTL_DEL, a[0], 0);
  // An epoll in an epoll.
  int outer = epoll_create1(0);
  control(outer, EPOLL_CTL_ADD, epoll, EPOLLIN);
  writer = start_thread(late_writer, &b[1]);
  CHECK_EQ(ask(way, outer, out, 4, -1), 1);
  CHECK_EQ(out[0].data.fd, epoll);
  join_thread(writer);
  CHECK_EQ(read(b[0], &c, 1), 1);
  CHECK_EQ(ask(way, outer, out, 4, 2), 0);
  CHECK_OK(close(outer));
  // The other side's end, and one that is closed leaves by itself.
  CHECK_OK(close(b[1]));
  CHECK_EQ(ask(way, epoll, out, 4, -1), 1);
  CHECK_EQ(out[0].events, EPOLLIN | EPOLLHUP);
  CHECK_OK(close(b[0]));
  CHECK_EQ(ask(way, epoll, out, 4, 2), 0);
  CHECK_EQ(errno, 123);
  // Refused.
  CHECK_ERR(ask(way, epoll, out, 0, 10), EINVAL);
  CHECK_ERR(ask(way, epoll, out, -1, -1), EINVAL);
  CHECK_ERR(ask(way, a[0], out, 1, 10), EINVAL);
  CHECK_ERR(ask(way, -1, out, 1, -1), EBADF);
  CHECK_OK(close(epoll));
  CHECK_ERR(ask(way, 1000 + epoll, out, 1, 10), EBADF);
  close_both(a);
}

static void* body(void* arg) {
  for (int way = 0; way < 3; ++way) test(way);
  int epoll = epoll_create1(0);
  struct epoll_event event;
  CHECK_ERR(epoll_pwait2(epoll, &event, 1, &(struct timespec){-1, 0}, NULL), EINVAL);
  CHECK_ERR(epoll_pwait2(epoll, &event, 1, &(struct timespec){0, 1000000000}, NULL), EINVAL);
  CHECK_ERR(epoll_pwait2(epoll, &event, 1, &(struct timespec){0, -1}, NULL), EINVAL);
  CHECK_EQ(epoll_pwait2(epoll, &event, 1, &(struct timespec){0, 1}, NULL), 0);
  CHECK_OK(close(epoll));
  return arg;
}

int main(void) {
  run_everywhere(4, body);
  return 0;
}
