// Large writes that may not wait go in part, then say EAGAIN: O_NONBLOCK by write, writev, send, sendmsg on pipes and
// sockets, and MSG_DONTWAIT on a blocking socket, also while another thread waits on the same socket. The bytes that
// went are the first ones. write(2).
#include "io.h"

enum { kSize = 1 << 20, kHalf = kSize / 2 };
static unsigned char data[kSize];
static const struct iovec kHalves[2] = {{data, kHalf}, {data + kHalf, kHalf}};

static ssize_t put(int fd, int way) {
  struct msghdr message = {.msg_iov = (struct iovec*)kHalves, .msg_iovlen = 2};
  switch (way) {
    case 0:
      return write(fd, data, kSize);
    case 1:
      return writev(fd, kHalves, 2);
    case 2:
      return send(fd, data, kSize, 0);
    case 3:
      return sendto(fd, data, kSize, 0, NULL, 0);
    case 4:
      return sendmsg(fd, &message, 0);
    case 5:
      return send(fd, data, kSize, MSG_DONTWAIT);
    case 6:
      return sendto(fd, data, kSize, MSG_DONTWAIT, NULL, 0);
    default:
      return sendmsg(fd, &message, MSG_DONTWAIT);
  }
}

// The first time a part goes, then nothing more; what went is read back.
static void fill_and_check(int in, int out, int way) {
  errno = 123;
  ssize_t n = put(out, way);
  CHECK(n > 0 && n < kSize);
  CHECK_EQ(errno, 123);
  for (int i = 0; i < 3; ++i) {
    ssize_t more = put(out, way);  // TCP moves on by itself
    if (more == -1) CHECK_EQ(errno, EAGAIN);
  }
  unsigned char* got = malloc((size_t)n);
  for (ssize_t at = 0; at < n;) {
    ssize_t r = read(in, got + at, (size_t)(n - at));
    CHECK(r > 0);
    at += r;
  }
  CHECK(memcmp(got, data, (size_t)n) == 0);
  free(got);
}

static void set_nonblocking(int fd) { CHECK_OK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK)); }

static void* waiting_reader(void* arg) {
  char c;
  CHECK_EQ(recv(*(int*)arg, &c, 1, 0), 1);
  return NULL;
}

static void* body(void* arg) {
  int pair[2];
  for (int way = 0; way < 2; ++way) {
    CHECK_OK(pipe(pair));
    set_nonblocking(pair[1]);
    fill_and_check(pair[0], pair[1], way);
    close_both(pair);
    CHECK_OK(pipe2(pair, O_NONBLOCK));
    CHECK_EQ(put(pair[1], way), fcntl(pair[1], F_GETPIPE_SZ));
    CHECK_ERR(put(pair[1], way), EAGAIN);
    close_both(pair);
  }
  for (int tcp = 0; tcp < 2; ++tcp)
    for (int way = 0; way < 8; ++way) {
      if (tcp)
        tcp_pair(pair);
      else
        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
      int small = 16384;  // TCP takes more than a megabyte else
      CHECK_OK(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small));
      CHECK_OK(setsockopt(pair[0], SOL_SOCKET, SO_RCVBUF, &small, sizeof small));
      if (way < 5) set_nonblocking(pair[1]);
      pthread_t reader = 0;
      if (way >= 5) reader = start_thread(waiting_reader, &pair[1]);
      fill_and_check(pair[0], pair[1], way);
      if (way >= 5) {
        CHECK_EQ(send(pair[0], "x", 1, 0), 1);
        join_thread(reader);
      }
      close_both(pair);
    }
  return arg;
}

int main(void) {
  fill_bytes(data, kSize, 0);
  run_everywhere(3, body);
  return 0;
}
