// MSG_WAITALL: all or the end, when bytes come in pieces; by recv, recvfrom with and without an address, recvmsg; with
// MSG_PEEK; cut short by the other side's end and by SO_RCVTIMEO. recv(2).
#include "io.h"

enum { kSize = 3000, kPieces = 6 };

static void* piecewise(void* arg) {
  char data[kSize];
  fill_bytes(data, kSize, 0);
  for (int i = 0; i < kPieces; ++i) {
    CHECK_EQ(send(*(int*)arg, data + i * (kSize / kPieces), kSize / kPieces, 0), kSize / kPieces);
    sleep_ms(1);
  }
  return NULL;
}

enum { kWays = 4 };

static ssize_t get(int fd, int way, char* buffer, size_t size, int flags) {
  struct sockaddr_storage from;
  socklen_t from_size = sizeof from;
  struct iovec v[3] = {{buffer, 7}, {buffer + 7, 1000}, {buffer + 1007, size - 1007}};
  struct msghdr message = {.msg_iov = v, .msg_iovlen = 3};
  switch (way) {
    case 0:
      return recv(fd, buffer, size, flags);
    case 1:
      return recvfrom(fd, buffer, size, flags, NULL, NULL);
    case 2:
      return recvfrom(fd, buffer, size, flags, (struct sockaddr*)&from, &from_size);
    default:
      return recvmsg(fd, &message, flags);
  }
}

static void test(int tcp, int way) {
  int pair[2];
  char buffer[kSize];
  if (tcp)
    tcp_pair(pair);
  else
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  // All of it.
  pthread_t writer = start_thread(piecewise, &pair[1]);
  errno = 123;
  CHECK_EQ(get(pair[0], way, buffer, kSize, MSG_WAITALL), kSize);
  CHECK_EQ(errno, 123);
  check_bytes(buffer, kSize, 0);
  join_thread(writer);
  // All of it, but only looked at. (UNIX sockets return what there is.)
  memset(buffer, 0, sizeof buffer);
  writer = start_thread(piecewise, &pair[1]);
  ssize_t n = get(pair[0], way, buffer, kSize, MSG_WAITALL | MSG_PEEK);
  CHECK(tcp ? n == kSize : n >= kSize / kPieces);
  check_bytes(buffer, (size_t)n, 0);
  memset(buffer, 0, sizeof buffer);
  CHECK_EQ(get(pair[0], way, buffer, kSize, MSG_WAITALL), kSize);
  check_bytes(buffer, kSize, 0);
  join_thread(writer);
  // What comes within the time.
  set_timeout(pair[0], SO_RCVTIMEO, 20);
  CHECK_EQ(send(pair[1], "0123456789", 10, 0), 10);
  long long start = now_ms();
  CHECK_EQ(get(pair[0], way, buffer, kSize, MSG_WAITALL), 10);
  CHECK(now_ms() - start >= 20);
  CHECK(memcmp(buffer, "0123456789", 10) == 0);
  CHECK_ERR(get(pair[0], way, buffer, kSize, MSG_WAITALL), EAGAIN);
  set_timeout(pair[0], SO_RCVTIMEO, 0);
  // It can be asked not to wait all the same.
  CHECK_EQ(send(pair[1], "abc", 3, 0), 3);
  struct pollfd p = {pair[0], POLLIN, 0};
  CHECK_EQ(poll(&p, 1, -1), 1);
  CHECK_EQ(get(pair[0], way, buffer, kSize, MSG_WAITALL | MSG_DONTWAIT), 3);
  CHECK_ERR(get(pair[0], way, buffer, kSize, MSG_WAITALL | MSG_DONTWAIT), EAGAIN);
  // What came before the end.
  writer = start_thread(piecewise, &pair[1]);
  CHECK_EQ(get(pair[0], way, buffer, 2000, MSG_WAITALL), 2000);
  join_thread(writer);
  CHECK_OK(shutdown(pair[1], SHUT_WR));
  CHECK_EQ(get(pair[0], way, buffer, kSize, MSG_WAITALL), 1000);
  check_bytes(buffer, 1000, 2000);
  CHECK_EQ(get(pair[0], way, buffer, kSize, MSG_WAITALL), 0);
  close_both(pair);
}

static void* body(void* arg) {
  test((int)((long)arg / kWays), (int)((long)arg % kWays));
  return NULL;
}

int main(void) {
  pthread_t threads[2 * kWays];
  for (long i = 0; i < 2 * kWays; ++i) threads[i] = start_thread(body, (void*)i);
  for (int i = 0; i < 2 * kWays; ++i) join_thread(threads[i]);
  for (int tcp = 0; tcp < 2; ++tcp) test(tcp, kWays - 1);
  return 0;
}
