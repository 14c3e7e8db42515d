// select and pselect: no time, some, for ever; the sets that come back, what is left of the time, closed and many
// descriptors, none (a sleep), urgent data, the highest numbers, what they refuse. select(2).
#include "io.h"

#include <sys/select.h>

static void* late_writer(void* arg) {
  sleep_ms(2);
  CHECK_EQ(write(*(int*)arg, "x", 1), 1);
  return NULL;
}

static fd_set* only(int fd, fd_set* set) {
  FD_ZERO(set);
  FD_SET(fd, set);
  return set;
}

static int members(const fd_set* set) {
  int n = 0;
  for (int i = 0; i < FD_SETSIZE; ++i) n += FD_ISSET(i, set) != 0;
  return n;
}

static int ask(int way, int count, fd_set* r, fd_set* w, fd_set* e, int ms) {
  if (way == 0) {
    struct timeval t = {ms / 1000, ms % 1000 * 1000};
    return select(count, r, w, e, ms < 0 ? NULL : &t);
  }
  struct timespec t = {ms / 1000, ms % 1000 * 1000000}, before = t;
  int n = pselect(count, r, w, e, ms < 0 ? NULL : &t, NULL);
  CHECK(memcmp(&t, &before, sizeof t) == 0);
  return n;
}

static void test(int way) {
  int ends[2], pair[2];
  char c;
  fd_set r, w, e;
  CHECK_OK(pipe(ends));
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  int top = 1 + (ends[0] > pair[0] ? ends[0] : pair[0]);
  errno = 123;
  only(ends[0], &r), FD_SET(pair[0], &r);
  CHECK_EQ(ask(way, top, &r, NULL, NULL, 0), 0);
  CHECK_EQ(members(&r), 0);
  only(ends[0], &r);
  long long start = now_ms();
  CHECK_EQ(ask(way, top, &r, NULL, only(pair[0], &e), 10), 0);
  CHECK(now_ms() - start >= 10);
  CHECK_EQ(members(&r) + members(&e), 0);
  start = now_ms();
  CHECK_EQ(ask(way, 0, NULL, NULL, NULL, 10), 0);  // a sleep
  CHECK(now_ms() - start >= 10);
  FD_ZERO(&r);
  start = now_ms();
  CHECK_EQ(ask(way, top, &r, NULL, NULL, 10), 0);  // of nobody
  CHECK(now_ms() - start >= 10);
  // For ever. Bits beyond the count don't count.
  pthread_t writer = start_thread(late_writer, &ends[1]);
  only(ends[0], &r), FD_SET(pair[0], &r);
  CHECK_EQ(ask(way, top, &r, NULL, NULL, -1), 1);
  CHECK(FD_ISSET(ends[0], &r) && !FD_ISSET(pair[0], &r));
  join_thread(writer);
  only(ends[0], &r);
  CHECK_EQ(ask(way, ends[0], &r, NULL, NULL, 0), 0);
  // In all three sets; each hit counts.
  writer = start_thread(late_writer, &pair[1]);
  CHECK_EQ(ask(way, top, only(pair[0], &r), NULL, only(pair[0], &e), -1), 1);
  CHECK(members(&r) == 1 && members(&e) == 0);
  join_thread(writer);
  CHECK_EQ(ask(way, top, only(pair[0], &r), only(pair[0], &w), only(pair[0], &e), -1), 2);
  CHECK(members(&r) == 1 && members(&w) == 1 && members(&e) == 0);
  CHECK_EQ(read(pair[0], &c, 1), 1);
  // The end is readable, a broken pipe writable.
  CHECK_OK(close(pair[1]));
  CHECK_EQ(ask(way, top, only(pair[0], &r), NULL, NULL, -1), 1);
  CHECK_EQ(read(pair[0], &c, 1), 0);
  CHECK_OK(close(pair[0]));
  CHECK_OK(close(ends[0]));
  CHECK_EQ(ask(way, ends[1] + 1, NULL, only(ends[1], &w), NULL, -1), 1);
  CHECK_OK(close(ends[1]));
  tcp_pair(pair);
  CHECK_EQ(send(pair[1], "u", 1, MSG_OOB), 1);
  CHECK_EQ(ask(way, pair[0] + 1, NULL, NULL, only(pair[0], &e), -1), 1);
  CHECK_EQ(members(&e), 1);
  CHECK_EQ(errno, 123);
  // The highest number that fits.
  CHECK_EQ(dup2(pair[0], FD_SETSIZE - 1), FD_SETSIZE - 1);
  start = now_ms();
  CHECK_EQ(ask(way, FD_SETSIZE, only(FD_SETSIZE - 1, &r), NULL, NULL, 10), 0);
  CHECK(now_ms() - start >= 10);
  writer = start_thread(late_writer, &pair[1]);
  CHECK_EQ(ask(way, FD_SETSIZE, only(FD_SETSIZE - 1, &r), NULL, NULL, -1), 1);
  CHECK(FD_ISSET(FD_SETSIZE - 1, &r));
  join_thread(writer);
  CHECK_OK(close(FD_SETSIZE - 1));
  // Refused.
  CHECK_ERR(ask(way, FD_SETSIZE, only(FD_SETSIZE - 1, &r), NULL, NULL, -1), EBADF);
  only(pair[0], &r), FD_SET(FD_SETSIZE - 2, &r);
  CHECK_ERR(ask(way, FD_SETSIZE, &r, NULL, NULL, 10), EBADF);
  CHECK_ERR(ask(way, -1, &r, NULL, NULL, 10), EINVAL);
  close_both(pair);
}

static void* body(void* arg) {
  int pair[2];
  fd_set r;
  test(0);
  test(1);
  // What is left of select's time.
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  struct timeval t = {60, 0};
  pthread_t writer = start_thread(late_writer, &pair[1]);
  CHECK_EQ(select(pair[0] + 1, only(pair[0], &r), NULL, NULL, &t), 1);
  CHECK(t.tv_sec < 60 && t.tv_usec >= 0 && t.tv_usec < 1000000);
  join_thread(writer);
  long left = t.tv_sec;
  CHECK_EQ(select(pair[0] + 1, only(pair[0], &r), NULL, NULL, &t), 1);
  CHECK(t.tv_sec <= left && t.tv_sec > left - 30);
  t = (struct timeval){0, 5000};
  CHECK_EQ(select(0, NULL, NULL, NULL, &t), 0);
  CHECK(t.tv_sec == 0 && t.tv_usec == 0);
  t = (struct timeval){0, 1500000};  // more than a second's worth of microseconds is taken
  CHECK_EQ(select(pair[0] + 1, only(pair[0], &r), NULL, NULL, &t), 1);
  CHECK(t.tv_sec * 1000000 + t.tv_usec <= 1500000);
  CHECK_ERR(select(0, NULL, NULL, NULL, &(struct timeval){-1, 0}), EINVAL);
  CHECK_ERR(select(0, NULL, NULL, NULL, &(struct timeval){0, -1}), EINVAL);
  CHECK_ERR(pselect(0, NULL, NULL, NULL, &(struct timespec){-1, 0}, NULL), EINVAL);
  CHECK_ERR(pselect(0, NULL, NULL, NULL, &(struct timespec){0, 1000000000}, NULL), EINVAL);
  close_both(pair);
  return arg;
}

int main(void) {
  join_thread(start_thread(body, NULL));  // one at a time: they use fixed numbers
  body(NULL);
  return 0;
}
