// SO_RCVTIMEO and SO_SNDTIMEO on every call that obeys them: not earlier, with the right error (EAGAIN; EINPROGRESS
// from TCP's connect), and what comes in time is delivered. Set to zero they no longer count. socket(7).
#include "io.h"

enum { kTime = 15 };

static ssize_t get(int fd, int way) {
  char buffer[16];
  struct sockaddr_storage from;
  socklen_t size = sizeof from;
  struct iovec v = {buffer, sizeof buffer};
  struct msghdr message = {.msg_iov = &v, .msg_iovlen = 1};
  switch (way) {
    case 0:
      return read(fd, buffer, sizeof buffer);
    case 1:
      return readv(fd, &v, 1);
    case 2:
      return recv(fd, buffer, sizeof buffer, 0);
    case 3:
      return recvfrom(fd, buffer, sizeof buffer, 0, NULL, NULL);
    case 4:
      return recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr*)&from, &size);
    case 5:
      return recvmsg(fd, &message, 0);
    case 6:
      return recv(fd, buffer, sizeof buffer, MSG_PEEK);
    case 7:
      return preadv2(fd, &v, 1, -1, 0);
    default:
      return recv(fd, buffer, sizeof buffer, MSG_WAITALL);
  }
}

static void* late_writer(void* arg) {
  sleep_ms(5);
  CHECK_EQ(send(*(int*)arg, "0123456789abcdef", 16, 0), 16);
  return NULL;
}

static void test_receiving(int pair[2]) {
  char buffer[16];
  for (int way = 0; way < 9; ++way) {
    set_timeout(pair[0], SO_RCVTIMEO, kTime);
    long long start = now_ms();
    CHECK_ERR(get(pair[0], way), EAGAIN);
    CHECK(now_ms() - start >= kTime);
    set_timeout(pair[0], SO_RCVTIMEO, 60000);
    pthread_t writer = start_thread(late_writer, &pair[1]);
    CHECK_EQ(get(pair[0], way), 16);
    if (way == 6) CHECK_EQ(recv(pair[0], buffer, sizeof buffer, MSG_DONTWAIT), 16);
    join_thread(writer);
    set_timeout(pair[0], SO_RCVTIMEO, 0);
    writer = start_thread(late_writer, &pair[1]);
    CHECK_EQ(get(pair[0], way), 16);
    if (way == 6) CHECK_EQ(recv(pair[0], buffer, sizeof buffer, MSG_DONTWAIT), 16);
    join_thread(writer);
  }
}

static ssize_t put(int fd, int way) {
  static char block[1 << 20];
  struct iovec v = {block, sizeof block};
  struct msghdr message = {.msg_iov = &v, .msg_iovlen = 1};
  switch (way) {
    case 0:
      return write(fd, block, sizeof block);
    case 1:
      return writev(fd, &v, 1);
    case 2:
      return send(fd, block, sizeof block, 0);
    case 3:
      return sendto(fd, block, sizeof block, MSG_NOSIGNAL, NULL, 0);
    default:
      return sendmsg(fd, &message, 0);
  }
}

static void test_sending(int tcp) {
  int pair[2], small = 8192;
  for (int way = 0; way < 5; ++way) {
    if (tcp)
      tcp_pair(pair);
    else
      CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_OK(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small));
    CHECK_OK(setsockopt(pair[0], SOL_SOCKET, SO_RCVBUF, &small, sizeof small));
    set_timeout(pair[1], SO_SNDTIMEO, kTime);
    long long start = now_ms();
    errno = 123;
    ssize_t n = put(pair[1], way);  // a part, and then the time
    CHECK(n > 0 && n < 1 << 20);
    CHECK_EQ(errno, 123);
    CHECK(now_ms() - start >= kTime);
    while ((n = put(pair[1], way)) > 0) {
    }
    CHECK(n == -1 && errno == EAGAIN);
    start = now_ms();
    while ((n = put(pair[1], way)) > 0) start = now_ms();
    CHECK(n == -1 && errno == EAGAIN);
    CHECK(now_ms() - start >= kTime);
    close_both(pair);
  }
}

static void* late_client(void* arg) {
  sleep_ms(5);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_OK(connect(fd, arg, sizeof(struct sockaddr_in)));
  CHECK_OK(close(fd));
  return NULL;
}

static void test_connections(void) {
  struct sockaddr_in address;
  int listener = tcp_listener(&address, 0), fd, fds[4];
  set_timeout(listener, SO_RCVTIMEO, kTime);
  long long start = now_ms();
  CHECK_ERR(accept(listener, NULL, NULL), EAGAIN);
  CHECK(now_ms() - start >= kTime);
  start = now_ms();
  CHECK_ERR(accept4(listener, NULL, NULL, SOCK_NONBLOCK), EAGAIN);
  CHECK(now_ms() - start >= kTime);
  set_timeout(listener, SO_RCVTIMEO, 60000);
  pthread_t client = start_thread(late_client, &address);
  CHECK_OK(fd = accept(listener, NULL, NULL));
  CHECK_OK(close(fd));
  join_thread(client);
  // TCP: with a full backlog the kernel drops what comes, and the client goes on trying.
  for (int i = 0; i < 4; ++i) {
    CHECK_OK(fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    int r = connect(fds[i], (struct sockaddr*)&address, sizeof address);
    CHECK(r == 0 || errno == EINPROGRESS);
  }
  CHECK_OK(fd = socket(AF_INET, SOCK_STREAM, 0));
  set_timeout(fd, SO_SNDTIMEO, kTime);
  start = now_ms();
  CHECK_ERR(connect(fd, (struct sockaddr*)&address, sizeof address), EINPROGRESS);
  CHECK(now_ms() - start >= kTime);
  start = now_ms();
  CHECK_ERR(connect(fd, (struct sockaddr*)&address, sizeof address), EALREADY);
  CHECK(now_ms() - start >= kTime);
  CHECK_OK(close(fd));
  for (int i = 0; i < 4; ++i) CHECK_OK(close(fds[i]));
  CHECK_OK(close(listener));
  // UNIX: EAGAIN.
  struct sockaddr_un name;
  socklen_t size = unix_address(&name);
  CHECK_OK(listener = socket(AF_UNIX, SOCK_STREAM, 0));
  CHECK_OK(bind(listener, (struct sockaddr*)&name, size));
  CHECK_OK(listen(listener, 0));
  CHECK_OK(fds[0] = socket(AF_UNIX, SOCK_STREAM, 0));
  CHECK_OK(connect(fds[0], (struct sockaddr*)&name, size));
  CHECK_OK(fd = socket(AF_UNIX, SOCK_STREAM, 0));
  set_timeout(fd, SO_SNDTIMEO, kTime);
  start = now_ms();
  CHECK_ERR(connect(fd, (struct sockaddr*)&name, size), EAGAIN);
  CHECK(now_ms() - start >= kTime);
  CHECK_OK(close(fds[0]));
  CHECK_OK(close(fd));
  CHECK_OK(close(listener));
}

static void* body(void* arg) {
  int pair[2];
  switch ((long)arg) {
    case 0:
      CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
      test_receiving(pair);
      close_both(pair);
      break;
    case 1:
      tcp_pair(pair);
      test_receiving(pair);
      close_both(pair);
      break;
    case 2:
      CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
      test_receiving(pair);
      close_both(pair);
      break;
    case 3:
      test_sending(0);
      break;
    case 4:
      test_sending(1);
      break;
    default:
      test_connections();
      break;
  }
  return NULL;
}

int main(void) {
  enum { kThreads = 12 };
  pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; ++i) threads[i] = start_thread(body, (void*)(i % 6));
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  return 0;
}
