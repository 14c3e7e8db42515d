// poll and ppoll: no time, some, for ever; negative and closed descriptors, none at all, the same twice, POLLHUP,
// POLLERR, POLLRDHUP, POLLPRI; revents of what isn't ready is cleared; what they refuse. poll(2).
#include "io.h"

#include <sys/resource.h>

static void* late_writer(void* arg) {
  sleep_ms(2);
  CHECK_EQ(write(*(int*)arg, "x", 1), 1);
  return NULL;
}

// timeout: ms as poll's; ppoll is asked the same.
static int ask(int way, struct pollfd* fds, nfds_t count, int timeout) {
  struct timespec t = {timeout / 1000, timeout % 1000 * 1000000}, before = t;
  if (way == 0) return poll(fds, count, timeout);
  int r = ppoll(fds, count, timeout < 0 ? NULL : &t, NULL);
  CHECK(memcmp(&t, &before, sizeof t) == 0);
  return r;
}

static void test(int way) {
  int ends[2], pair[2];
  char c;
  CHECK_OK(pipe(ends));
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  struct pollfd three[3] = {{ends[0], POLLIN, -1}, {-1, POLLIN, -1}, {pair[0], POLLIN, -1}};
  errno = 123;
  CHECK_EQ(ask(way, three, 3, 0), 0);
  for (int i = 0; i < 3; ++i) CHECK_EQ(three[i].revents, 0);
  long long start = now_ms();
  CHECK_EQ(ask(way, three, 3, 10), 0);
  CHECK(now_ms() - start >= 10);
  start = now_ms();
  CHECK_EQ(ask(way, &three[1], 1, 10), 0);  // nothing but a negative one
  CHECK(now_ms() - start >= 10);
  start = now_ms();
  CHECK_EQ(ask(way, NULL, 0, 10), 0);
  CHECK(now_ms() - start >= 10);
  CHECK_EQ(ask(way, NULL, 0, 0), 0);
  // For ever, until something comes.
  pthread_t writer = start_thread(late_writer, &ends[1]);
  three[0].revents = three[1].revents = three[2].revents = -1;
  CHECK_EQ(ask(way, three, 3, -1), 1);
  CHECK_EQ(three[0].revents, POLLIN);
  CHECK_EQ(three[1].revents, 0);
  CHECK_EQ(three[2].revents, 0);
  join_thread(writer);
  writer = start_thread(late_writer, &pair[1]);
  CHECK_EQ(read(ends[0], &c, 1), 1);
  CHECK_EQ(ask(way, three, 3, 60000), 1);
  CHECK_EQ(three[2].revents, POLLIN);
  join_thread(writer);
  // The same descriptor twice, in two ways; all events that hold are told.
  struct pollfd twice[3] = {{pair[0], POLLIN, 0}, {pair[0], POLLOUT, 0}, {pair[0], POLLIN | POLLOUT | POLLRDNORM, 0}};
  CHECK_EQ(ask(way, twice, 3, -1), 3);
  CHECK_EQ(twice[0].revents, POLLIN);
  CHECK_EQ(twice[1].revents, POLLOUT);
  CHECK_EQ(twice[2].revents, POLLIN | POLLOUT | POLLRDNORM);
  CHECK_EQ(read(pair[0], &c, 1), 1);
  // Closed ones are told at once, beside others that aren't ready.
  int closed = dup(ends[0]);
  CHECK_OK(close(closed));
  struct pollfd with_closed[2] = {{pair[0], POLLIN, 0}, {1000 + closed, POLLIN, 0}};
  CHECK_EQ(ask(way, with_closed, 2, -1), 1);
  CHECK_EQ(with_closed[0].revents, 0);
  CHECK_EQ(with_closed[1].revents, POLLNVAL);
  // Regular files are always ready.
  int file = unnamed_file(0);
  struct pollfd ready = {file, POLLIN | POLLOUT, 0};
  CHECK_EQ(ask(way, &ready, 1, -1), 1);
  CHECK_EQ(ready.revents, POLLIN | POLLOUT);
  CHECK_OK(close(file));
  // Ends: unasked.
  CHECK_OK(shutdown(pair[1], SHUT_WR));
  struct pollfd p = {pair[0], POLLIN | POLLRDHUP, 0};
  CHECK_EQ(ask(way, &p, 1, -1), 1);
  CHECK_EQ(p.revents, POLLIN | POLLRDHUP);
  close_both(pair);
  CHECK_EQ(errno, 123);
  CHECK_OK(close(ends[1]));
  p = (struct pollfd){ends[0], 0, 0};
  CHECK_EQ(ask(way, &p, 1, -1), 1);
  CHECK_EQ(p.revents, POLLHUP);
  CHECK_OK(close(ends[0]));
  CHECK_OK(pipe(ends));
  CHECK_OK(close(ends[0]));
  p = (struct pollfd){ends[1], POLLOUT, 0};
  CHECK_EQ(ask(way, &p, 1, -1), 1);
  CHECK_EQ(p.revents, POLLOUT | POLLERR);
  CHECK_OK(close(ends[1]));
  // Urgent data.
  tcp_pair(pair);
  p = (struct pollfd){pair[0], POLLPRI, 0};
  CHECK_EQ(send(pair[1], "u", 1, MSG_OOB), 1);
  CHECK_EQ(ask(way, &p, 1, -1), 1);
  CHECK_EQ(p.revents, POLLPRI);
  close_both(pair);
}

static void* hang_up(void* arg) {
  sleep_ms(2);
  CHECK_OK(close(*(int*)arg));
  return NULL;
}

static void* body(void* arg) {
  int ends[2];
  for (int way = 0; way < 2; ++way) {
    test(way);
    // The end comes while it waits, for events that weren't asked for.
    CHECK_OK(pipe(ends));
    struct pollfd p = {ends[0], 0, 0};
    pthread_t thread = start_thread(hang_up, &ends[1]);
    CHECK_EQ(ask(way, &p, 1, -1), 1);
    CHECK_EQ(p.revents, POLLHUP);
    join_thread(thread);
    CHECK_OK(close(ends[0]));
  }
  struct pollfd p = {-1, 0, 0};
  struct rlimit limit;
  CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
  if (limit.rlim_cur < 1u << 30) {
    CHECK_ERR(poll(&p, limit.rlim_cur + 1, 0), EINVAL);
    CHECK_ERR(ppoll(&p, limit.rlim_cur + 1, NULL, NULL), EINVAL);
  }
  CHECK_ERR(ppoll(&p, 1, &(struct timespec){-1, 0}, NULL), EINVAL);
  CHECK_ERR(ppoll(&p, 1, &(struct timespec){0, -1}, NULL), EINVAL);
  CHECK_ERR(ppoll(&p, 1, &(struct timespec){0, 1000000000}, NULL), EINVAL);
  CHECK_ERR(poll((struct pollfd*)8, 1, 0), EFAULT);
  CHECK_EQ(ppoll(&p, 1, &(struct timespec){0, 1}, NULL), 0);
  return arg;
}

int main(void) {
  run_everywhere(4, body);
  return 0;
}
