// recvmmsg and sendmmsg: all messages or, with MSG_WAITFORONE, those that are there after the first; time-outs; a full queue; a stream's
// large messages whole; errors. recvmmsg(2), sendmmsg(2).
#include "io.h"

enum { kMessages = 8, kRoom = 64 };

static void address(struct mmsghdr* messages, struct iovec* vectors, char (*room)[kRoom], size_t size) {
  memset(messages, 0, sizeof *messages * kMessages);
  for (int i = 0; i < kMessages; ++i) {
    vectors[i] = (struct iovec){room[i], size};
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
}

static void* send_some(void* arg) {
  for (int i = 0; i < kMessages; ++i) {
    char c = (char)('a' + i);
    if (i % 3 == 1) sleep_ms(2);
    CHECK_EQ(send(*(int*)arg, &c, 1, 0), 1);
  }
  return NULL;
}

static void receive(int type) {
  int pair[2];
  struct mmsghdr messages[kMessages];
  struct iovec vectors[kMessages];
  char room[kMessages][kRoom];
  CHECK_OK(socketpair(AF_UNIX, type, 0, pair));
  address(messages, vectors, room, kRoom);
  CHECK_ERR(recvmmsg(pair[0], messages, kMessages, MSG_DONTWAIT, NULL), EAGAIN);
  pthread_t sender = start_thread(send_some, &pair[1]);
  CHECK_EQ(recvmmsg(pair[0], messages, kMessages, 0, NULL), kMessages);  // waits again and again
  for (int i = 0; i < kMessages; ++i) CHECK(messages[i].msg_len == 1 && room[i][0] == 'a' + i);
  join_thread(sender);

  sender = start_thread(send_some, &pair[1]);
  for (int seen = 0; seen < kMessages;) {
    int n = recvmmsg(pair[0], messages, kMessages, MSG_WAITFORONE, NULL);
    CHECK(n >= 1 && n <= kMessages);
    for (int i = 0; i < n; ++i) CHECK_EQ(room[i][0], 'a' + seen++);
  }
  join_thread(sender);

  set_timeout(pair[0], SO_RCVTIMEO, 20);
  CHECK_ERR(recvmmsg(pair[0], messages, kMessages, 0, NULL), EAGAIN);
  CHECK_EQ(send(pair[1], "x", 1, 0), 1);
  CHECK_EQ(recvmmsg(pair[0], messages, kMessages, 0, NULL), 1);  // the time-out ends the second message's wait
  set_timeout(pair[0], SO_RCVTIMEO, 0);
  CHECK_EQ(send(pair[1], "x", 1, 0), 1);
  struct timespec none = {0, 0};
  CHECK_EQ(recvmmsg(pair[0], messages, kMessages, 0, &none), 1);  // looked at after the first message
  CHECK_EQ(recvmmsg(pair[0], messages, 0, 0, NULL), 0);
  CHECK_ERR(recvmmsg(-1, messages, 1, 0, NULL), EBADF);
  CHECK_ERR(recvmmsg(pair[0], (struct mmsghdr*)8, 1, MSG_DONTWAIT, NULL), EFAULT);
  CHECK_OK(close(pair[1]));
  if (type == SOCK_SEQPACKET) {
    CHECK_EQ(recvmmsg(pair[0], messages, 2, 0, NULL), 2);
    CHECK(messages[0].msg_len == 0 && messages[1].msg_len == 0);
  }
  CHECK_OK(close(pair[0]));
}

static void* drain(void* arg) {
  char room[kRoom];
  sleep_ms(3);
  for (int i = 0; i < 1000; ++i) {
    CHECK_EQ(recv(*(int*)arg, room, sizeof room, 0), 1);
    CHECK_EQ(room[0], 'a' + i % kMessages);
  }
  return NULL;
}

static void full(void) {
  int pair[2];
  struct mmsghdr messages[kMessages];
  struct iovec vectors[kMessages];
  char room[kMessages][kRoom];
  CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
  address(messages, vectors, room, 1);
  for (int i = 0; i < kMessages; ++i) room[i][0] = (char)('a' + i);
  pthread_t reader = start_thread(drain, &pair[1]);
  for (int i = 0; i < 1000; i += kMessages) CHECK_EQ(sendmmsg(pair[0], messages, kMessages, 0), kMessages);
  join_thread(reader);
  int n = 0, r;
  while ((r = sendmmsg(pair[0], messages, kMessages, MSG_DONTWAIT)) > 0) n += r;
  CHECK(n > 0 && r == -1 && errno == EAGAIN);
  CHECK_EQ(sendmmsg(pair[0], messages, 0, 0), 0);
  CHECK_ERR(sendmmsg(-1, messages, 1, 0), EBADF);
  CHECK_ERR(sendmmsg(pair[0], (struct mmsghdr*)8, 1, MSG_DONTWAIT), EFAULT);
  CHECK_OK(close(pair[1]));
  CHECK_ERR(sendmmsg(pair[0], messages, 1, MSG_NOSIGNAL), ECONNRESET);  // closed with messages unread
  CHECK_ERR(sendmmsg(pair[0], messages, 1, MSG_NOSIGNAL), EPIPE);
  CHECK_OK(close(pair[0]));
}

enum { kLarge = 700000 };
static void* check_stream(void* arg) {
  static _Thread_local char part[30000];
  for (size_t at = 0; at < 2 * kLarge;) {
    ssize_t n = recv(*(int*)arg, part, sizeof part, 0);
    CHECK(n > 0);
    check_bytes(part, (size_t)n, at);
    at += (size_t)n;
  }
  return NULL;
}

static void stream(void) {
  int pair[2];
  char* bytes = malloc(2 * kLarge);
  fill_bytes(bytes, 2 * kLarge, 0);
  tcp_pair(pair);
  struct iovec vectors[] = {{bytes, 10}, {bytes + 10, kLarge - 10}, {bytes + kLarge, 1}, {bytes + kLarge + 1, kLarge - 1}};
  struct mmsghdr messages[2] = {{.msg_hdr = {.msg_iov = vectors, .msg_iovlen = 2}}, {.msg_hdr = {.msg_iov = vectors + 2, .msg_iovlen = 2}}};
  pthread_t reader = start_thread(check_stream, &pair[1]);
  CHECK_EQ(sendmmsg(pair[0], messages, 2, 0), 2);
  CHECK(messages[0].msg_len == kLarge && messages[1].msg_len == kLarge);
  join_thread(reader);
  close_both(pair);
  free(bytes);
}

static void* body(void* arg) {
  receive(SOCK_DGRAM);
  receive(SOCK_SEQPACKET);
  full();
  stream();
  return arg;
}

int main(void) {
  run_everywhere(4, body);
  return 0;
}
