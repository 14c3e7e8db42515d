// SO_RCVTIMEO and SO_SNDTIMEO, and poll, ppoll, select, pselect, epoll_wait, epoll_pwait with and without a time, on virtual threads;
// compiled with FORTIFY, so that read, recv and poll with known buffers come in by their __*_chk names. socket(7), poll(2), select(2), epoll_wait(2).
#define _FORTIFY_SOURCE 2
#include "../check.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

static void* late_writer(void* arg) {
  sleep_ms(5);
  CHECK_EQ(write(*(int*)arg, "abc", 3), 3);
  return NULL;
}

static fd_set* only(int fd, fd_set* set) {
  FD_ZERO(set);
  FD_SET(fd, set);
  return set;
}

static void* body(void* arg) {
  int pair[2];
  char buffer[8];
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  int epoll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = pair[0]}, out;
  CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event));
  volatile int size = (int)sizeof buffer;  // unknown to the compiler: the checked variants
  struct timespec ten_ms = {0, 10000000};
  struct timeval ten = {0, 10000};
  fd_set set;
  struct pollfd p = {pair[0], POLLIN, 0};

  // Nothing comes: each ends in its time, not earlier.
  for (int what = 0; what < 8; ++what) {
    long long start = now_ms();
    switch (what) {
      case 0: CHECK_EQ(poll(&p, 1, 10), 0); break;
      case 1: CHECK_EQ(ppoll(&p, 1, &ten_ms, NULL), 0); break;
      case 2: ten.tv_sec = 0, ten.tv_usec = 10000; CHECK_EQ(select(pair[0] + 1, only(pair[0], &set), NULL, NULL, &ten), 0); break;
      case 3: CHECK_EQ(pselect(pair[0] + 1, only(pair[0], &set), NULL, NULL, &ten_ms, NULL), 0); break;
      case 4: CHECK_EQ(epoll_wait(epoll, &out, 1, 10), 0); break;
      case 5: CHECK_EQ(epoll_pwait(epoll, &out, 1, 10, NULL), 0); break;
      case 6:
        ten = (struct timeval){0, 10000};
        CHECK_OK(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &ten, sizeof ten));
        CHECK_ERR(recv(pair[0], buffer, (size_t)size, 0), EAGAIN);
        break;
      case 7: CHECK_ERR(read(pair[0], buffer, (size_t)size), EAGAIN); break;
    }
    CHECK(now_ms() - start >= 10);
  }
  ten = (struct timeval){0, 0};
  CHECK_OK(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &ten, sizeof ten));

  // Something comes while they wait without a limit.
  for (int what = 0; what < 8; ++what) {
    pthread_t writer = start_thread(late_writer, &pair[1]);
    switch (what) {
      case 0: CHECK_EQ(poll(&p, 1, -1), 1); CHECK_EQ(p.revents, POLLIN); break;
      case 1: CHECK_EQ(ppoll(&p, 1, NULL, NULL), 1); break;
      case 2: CHECK_EQ(select(pair[0] + 1, only(pair[0], &set), NULL, NULL, NULL), 1); CHECK(FD_ISSET(pair[0], &set)); break;
      case 3: CHECK_EQ(pselect(pair[0] + 1, only(pair[0], &set), NULL, NULL, NULL, NULL), 1); break;
      case 4: CHECK_EQ(epoll_wait(epoll, &out, 1, -1), 1); CHECK_EQ(out.data.fd, pair[0]); break;
      case 5: CHECK_EQ(epoll_pwait(epoll, &out, 1, -1, NULL), 1); break;
      case 6: CHECK_EQ(recv(pair[0], buffer, 3, MSG_WAITALL | MSG_PEEK), 3); break;
      default: break;
    }
    CHECK_EQ(read(pair[0], buffer, (size_t)size), 3);
    CHECK(memcmp(buffer, "abc", 3) == 0);
    join_thread(writer);
  }

  // A peer that doesn't read: the write ends at its time, with what went out before.
  ten = (struct timeval){0, 10000};
  CHECK_OK(setsockopt(pair[1], SOL_SOCKET, SO_SNDTIMEO, &ten, sizeof ten));
  static const char block[1 << 16];
  ssize_t n;
  while ((n = send(pair[1], block, sizeof block, 0)) > 0) {
  }
  CHECK(n == -1 && errno == EAGAIN);
  // The end of the other side ends every wait.
  close(pair[1]);
  CHECK_EQ(poll(&p, 1, -1), 1);
  CHECK(p.revents & POLLHUP);
  close(pair[0]);
  close(epoll);
  return arg;
}

int main(void) {
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) threads[i] = start_thread(body, NULL);
  for (int i = 0; i < 4; ++i) join_thread(threads[i]);
  return 0;
}
