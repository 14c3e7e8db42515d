// The event loop that one writes by hand: one thread, epoll, non-blocking recv and send. Prints "port N" and runs until killed.
#include <sys/epoll.h>

#include "listen.h"

int main(void) {
  struct epoll_event events[256];
  int listener = listen_anywhere(SOCK_NONBLOCK), epoll = epoll_create1(EPOLL_CLOEXEC), one = 1;
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
  BENCH_CHECK(!epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event));
  for (;;) {
    int ready = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < ready; ++i) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
          BENCH_CHECK(!setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
          event = (struct epoll_event){.events = EPOLLIN, .data.fd = fd};
          BENCH_CHECK(!epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
        }
        continue;
      }
      char buffer[kMessage];
      ssize_t got = recv(fd, buffer, sizeof buffer, 0);
      if (got < 0 && errno == EAGAIN) continue;
      // A send buffer holds far more than a message here, so there is no queue for what didn't fit.
      if (got <= 0 || send(fd, buffer, (size_t)got, MSG_NOSIGNAL) != got) close(fd);
    }
  }
}
