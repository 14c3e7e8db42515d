// MSG_DONTWAIT on a blocking socket and MSG_ERRQUEUE never wait; neither changes the descriptor, on which others wait
// meanwhile. recv(2).
#include "io.h"

static void* waiting_reader(void* arg) {
  char c;
  CHECK_EQ(read(*(int*)arg, &c, 1), 1);
  return NULL;
}

static void* body(void* arg) {
  int pair[2];
  char buffer[16];
  struct sockaddr_storage from;
  socklen_t size = sizeof from;
  struct iovec v = {buffer, sizeof buffer};
  for (int kind = 0; kind < 3; ++kind) {
    if (kind == 2)
      tcp_pair(pair);
    else
      CHECK_OK(socketpair(AF_UNIX, kind ? SOCK_DGRAM : SOCK_STREAM, 0, pair));
    int flags = fcntl(pair[0], F_GETFL);
    for (int round = 0; round < 4; ++round) {
      pthread_t reader = start_thread(waiting_reader, &pair[0]);
      for (int i = 0; i < 5; ++i) {
        struct msghdr message = {.msg_iov = &v, .msg_iovlen = 1};
        CHECK_ERR(recv(pair[0], buffer, sizeof buffer, MSG_DONTWAIT), EAGAIN);
        CHECK_ERR(recvfrom(pair[0], buffer, sizeof buffer, MSG_DONTWAIT, NULL, NULL), EAGAIN);
        CHECK_ERR(recvfrom(pair[0], buffer, sizeof buffer, MSG_DONTWAIT, (struct sockaddr*)&from, &size), EAGAIN);
        CHECK_ERR(recvmsg(pair[0], &message, MSG_DONTWAIT), EAGAIN);
        CHECK_EQ(fcntl(pair[0], F_GETFL), flags);
      }
      CHECK_EQ(send(pair[1], "x", 1, MSG_DONTWAIT), 1);
      join_thread(reader);
    }
    close_both(pair);
  }
  // Nothing in the queue of errors.
  int udp = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  CHECK_OK(bind(udp, (struct sockaddr*)&address, sizeof address));
  for (int i = 0; i < 5; ++i) {
    struct msghdr message = {.msg_iov = &v, .msg_iovlen = 1};
    CHECK_ERR(recv(udp, buffer, sizeof buffer, MSG_ERRQUEUE), EAGAIN);
    CHECK_ERR(recvfrom(udp, buffer, sizeof buffer, MSG_ERRQUEUE, (struct sockaddr*)&from, &size), EAGAIN);
    CHECK_ERR(recvmsg(udp, &message, MSG_ERRQUEUE), EAGAIN);
  }
  CHECK_OK(close(udp));
  return arg;
}

int main(void) {
  run_everywhere(3, body);
  return 0;
}
