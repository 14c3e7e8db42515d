// shutdown while other threads wait on the socket: recv and read end with 0, send with EPIPE, accept with EINVAL, poll
// and epoll_wait see it; the peer's end and a reset end waits too. shutdown(2).
#include "io.h"

#include <stdatomic.h>
#include <sys/epoll.h>

enum { kWays = 7 };
typedef struct {
  int fd;
  int way;
  atomic_int ready;
} Wait;

static void* waiter(void* arg) {
  Wait* w = arg;
  char buffer[16];
  struct sockaddr_storage from;
  socklen_t size = sizeof from;
  struct iovec v = {buffer, sizeof buffer};
  struct msghdr message = {.msg_iov = &v, .msg_iovlen = 1};
  struct pollfd p = {w->fd, POLLIN | POLLRDHUP, 0};
  atomic_store(&w->ready, 1);
  switch (w->way) {
    case 0:
      CHECK_EQ(recv(w->fd, buffer, sizeof buffer, 0), 0);
      break;
    case 1:
      CHECK_EQ(read(w->fd, buffer, sizeof buffer), 0);
      break;
    case 2:
      CHECK_EQ(recvmsg(w->fd, &message, 0), 0);
      break;
    case 3:
      CHECK_EQ(recvfrom(w->fd, buffer, sizeof buffer, 0, (struct sockaddr*)&from, &size), 0);
      break;
    case 4:
      CHECK_EQ(recv(w->fd, buffer, sizeof buffer, MSG_WAITALL), 0);
      break;
    case 5:
      CHECK_EQ(readv(w->fd, &v, 1), 0);
      break;
    default:
      CHECK_EQ(poll(&p, 1, -1), 1);
      CHECK(p.revents & POLLIN && p.revents & POLLRDHUP);
  }
  return NULL;
}

static void test_readers(int tcp, int who) {
  int pair[2];
  Wait waits[kWays];
  pthread_t threads[kWays];
  if (tcp)
    tcp_pair(pair);
  else
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  for (int i = 0; i < kWays; ++i) {
    waits[i] = (Wait){pair[0], i, 0};
    threads[i] = start_thread(waiter, &waits[i]);
  }
  for (int i = 0; i < kWays; ++i)
    while (!atomic_load(&waits[i].ready)) sleep_ms(1);
  sleep_ms(2);
  if (who == 0) CHECK_OK(shutdown(pair[0], SHUT_RD));
  if (who == 1) CHECK_OK(shutdown(pair[0], SHUT_RDWR));
  if (who == 2) CHECK_OK(shutdown(pair[1], SHUT_WR));
  if (who == 3) CHECK_OK(close(pair[1]));
  for (int i = 0; i < kWays; ++i) join_thread(threads[i]);
  if (who != 3) CHECK_OK(close(pair[1]));
  CHECK_OK(close(pair[0]));
}

static void* acceptor(void* arg) {
  Wait* w = arg;
  atomic_store(&w->ready, 1);
  if (w->way)
    CHECK_ERR(accept4(w->fd, NULL, NULL, SOCK_CLOEXEC), EINVAL);
  else
    CHECK_ERR(accept(w->fd, NULL, NULL), EINVAL);
  return NULL;
}

static void test_acceptors(int unix_socket) {
  struct sockaddr_in address;
  struct sockaddr_un name;
  Wait waits[4];
  pthread_t threads[4];
  int fd;
  if (unix_socket) {
    CHECK_OK(fd = socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_OK(bind(fd, (struct sockaddr*)&name, unix_address(&name)));
    CHECK_OK(listen(fd, 1));
  } else {
    fd = tcp_listener(&address, 1);
  }
  for (int i = 0; i < 4; ++i) {
    waits[i] = (Wait){fd, i % 2, 0};
    threads[i] = start_thread(acceptor, &waits[i]);
  }
  for (int i = 0; i < 4; ++i)
    while (!atomic_load(&waits[i].ready)) sleep_ms(1);
  sleep_ms(2);
  CHECK_OK(shutdown(fd, SHUT_RDWR));
  for (int i = 0; i < 4; ++i) join_thread(threads[i]);
  CHECK_OK(close(fd));
}

static void* sender(void* arg) {
  static char block[1 << 20];
  Wait* w = arg;
  atomic_store(&w->ready, 1);
  ssize_t n;
  while ((n = send(w->fd, block, sizeof block, MSG_NOSIGNAL)) > 0) {
  }
  CHECK(n == -1 && errno == EPIPE);
  return NULL;
}

static void test_sender(int tcp) {
  int pair[2];
  if (tcp)
    tcp_pair(pair);
  else
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  Wait w = {pair[0], 0, 0};
  pthread_t thread = start_thread(sender, &w);
  while (!atomic_load(&w.ready)) sleep_ms(1);
  sleep_ms(5);
  CHECK_OK(shutdown(pair[0], SHUT_WR));
  join_thread(thread);
  close_both(pair);
}

static void* epoll_waiter(void* arg) {
  Wait* w = arg;
  struct epoll_event event;
  atomic_store(&w->ready, 1);
  CHECK_EQ(epoll_wait(w->fd, &event, 1, -1), 1);
  CHECK(event.events & EPOLLRDHUP);
  return NULL;
}

static void test_epoll(void) {
  int pair[2], epoll = epoll_create1(0);
  tcp_pair(pair);
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = pair[0]};
  CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event));
  Wait w = {epoll, 0, 0};
  pthread_t thread = start_thread(epoll_waiter, &w);
  while (!atomic_load(&w.ready)) sleep_ms(1);
  CHECK_OK(shutdown(pair[1], SHUT_WR));
  join_thread(thread);
  close_both(pair);
  CHECK_OK(close(epoll));
}

static void* reset_reader(void* arg) {
  Wait* w = arg;
  char c;
  atomic_store(&w->ready, 1);
  CHECK_ERR(recv(w->fd, &c, 1, 0), ECONNRESET);
  return NULL;
}

static void test_reset(void) {
  int pair[2];
  tcp_pair(pair);
  Wait w = {pair[0], 0, 0};
  pthread_t thread = start_thread(reset_reader, &w);
  while (!atomic_load(&w.ready)) sleep_ms(1);
  struct linger hard = {1, 0};
  CHECK_OK(setsockopt(pair[1], SOL_SOCKET, SO_LINGER, &hard, sizeof hard));
  CHECK_OK(close(pair[1]));
  join_thread(thread);
  CHECK_OK(close(pair[0]));
}

static void* body(void* arg) {
  for (int tcp = 0; tcp < 2; ++tcp) {
    for (int who = 0; who < 4; ++who) test_readers(tcp, who);
    test_acceptors(tcp);
    test_sender(tcp);
  }
  test_epoll();
  test_reset();
  return arg;
}

int main(void) {
  run_everywhere(3, body);
  return 0;
}
