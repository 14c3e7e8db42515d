// SO_RCVLOWAT: every call that receives waits for so many bytes, or the end; MSG_DONTWAIT and O_NONBLOCK take what there is. And MSG_PEEK,
// which leaves what it reads. socket(7), recv(2).
#include "io.h"

enum { kCalls = 7 };

static ssize_t receive(int way, int fd, char* buffer, size_t size) {
  struct iovec one = {buffer, size};
  struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1};
  struct mmsghdr messages = {.msg_hdr = message};
  switch (way) {
    case 0: return recv(fd, buffer, size, 0);
    case 1: return read(fd, buffer, size);
    case 2: return readv(fd, &one, 1);
    case 3: return recvmsg(fd, &message, 0);
    case 4: return recvfrom(fd, buffer, size, 0, NULL, NULL);
    case 5: return recv(fd, buffer, size, MSG_PEEK);
    default: return recvmmsg(fd, &messages, 1, MSG_WAITFORONE, NULL) == 1 ? (ssize_t)messages.msg_len : -1;
  }
}

static void* trickle(void* arg) {
  for (int i = 0; i < 10; ++i) {
    if (i == 1 || i == 5) sleep_ms(2);
    CHECK_EQ(send(*(int*)arg, &"0123456789"[i], 1, 0), 1);
  }
  return NULL;
}

static void check(int tcp, int way) {
  int pair[2], low = 5;
  char buffer[32];
  if (tcp) tcp_pair(pair);
  else CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  CHECK_OK(setsockopt(pair[0], SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low));
  CHECK_EQ(send(pair[1], "ab", 2, 0), 2);
  CHECK_EQ(recv(pair[0], buffer, sizeof buffer, MSG_DONTWAIT | MSG_PEEK), 2);
  CHECK_EQ(receive(way, pair[0], buffer, 2), 2);  // no more than was asked for
  if (way == 5) CHECK_EQ(recv(pair[0], buffer, 2, 0), 2);
  pthread_t sender = start_thread(trickle, &pair[1]);
  ssize_t n = receive(way, pair[0], buffer, sizeof buffer), m;
  CHECK(n >= 5 && n <= 10);
  CHECK(memcmp(buffer, "0123456789", (size_t)n) == 0);
  if (way == 5) {
    CHECK((m = recv(pair[0], buffer, sizeof buffer, MSG_PEEK)) >= n);
    CHECK(memcmp(buffer, "0123456789", (size_t)m) == 0);
    n = 0;
  }
  join_thread(sender);
  CHECK_OK(shutdown(pair[1], SHUT_WR));
  for (; n < 10; n += m) {  // fewer at the end
    CHECK((m = recv(pair[0], buffer, sizeof buffer, 0)) > 0);
    CHECK(memcmp(buffer, &"0123456789"[n], (size_t)m) == 0);
  }
  CHECK_EQ(receive(way, pair[0], buffer, sizeof buffer), 0);
  close_both(pair);
}

static void* body(void* arg) {
  for (int way = 0; way < kCalls; ++way) {
    if (way != 5) check(0, way);  // a UNIX socket peeks at its first packet only
    check(1, way);
  }
  return arg;
}

int main(void) {
  run_everywhere(4, body);
  return 0;
}
