// Urgent data: seen by MSG_OOB, poll's POLLPRI, select's third set and sockatmark; a read that waits stops at the mark; SO_OOBINLINE.
// tcp(7), recv(2), sockatmark(3).
#include "io.h"

#include <sys/select.h>

static void* send_late(void* arg) {
  int fd = *(int*)arg;
  sleep_ms(2);
  CHECK_EQ(send(fd, "!", 1, MSG_OOB), 1);
  return NULL;
}

static void* body(void* arg) {
  int pair[2], on = 1;
  char buffer[16];
  tcp_pair(pair);
  CHECK_ERR(recv(pair[0], buffer, 1, MSG_OOB), EINVAL);  // there is none, and it doesn't wait
  pthread_t sender = start_thread(send_late, &pair[1]);
  struct pollfd p = {pair[0], POLLPRI, 0};
  CHECK_EQ(poll(&p, 1, -1), 1);
  CHECK(p.revents & POLLPRI);
  fd_set set;
  FD_ZERO(&set);
  FD_SET(pair[0], &set);
  CHECK_EQ(select(pair[0] + 1, NULL, NULL, &set, NULL), 1);
  CHECK_EQ(sockatmark(pair[0]), 1);
  CHECK_EQ(recv(pair[0], buffer, sizeof buffer, MSG_OOB), 1);
  CHECK_EQ(buffer[0], '!');
  CHECK_ERR(recv(pair[0], buffer, 1, MSG_OOB), EINVAL);
  join_thread(sender);

  CHECK_EQ(send(pair[1], "abc", 3, 0), 3);
  CHECK_EQ(send(pair[1], "d!", 2, MSG_OOB), 2);
  CHECK_EQ(send(pair[1], "ef", 2, 0), 2);
  size_t n = 0;
  while (n < 4) {  // up to the mark, and no further
    ssize_t r = recv(pair[0], buffer + n, sizeof buffer - n, 0);
    CHECK(r > 0);
    n += (size_t)r;
  }
  CHECK_EQ(n, 4);
  CHECK_EQ(recv(pair[0], buffer + 4, 1, MSG_OOB), 1);
  CHECK_EQ(recv(pair[0], buffer + 5, 2, MSG_WAITALL), 2);
  CHECK(memcmp(buffer, "abcd!ef", 7) == 0);

  CHECK_OK(setsockopt(pair[0], SOL_SOCKET, SO_OOBINLINE, &on, sizeof on));
  CHECK_EQ(send(pair[1], "?", 1, MSG_OOB), 1);
  CHECK_EQ(recv(pair[0], buffer, 1, 0), 1);
  CHECK_EQ(buffer[0], '?');
  close_both(pair);
  return arg;
}

int main(void) {
  run_everywhere(4, body);
  return 0;
}
