// UDP and UNIX datagrams, received by calls that wait: the sender's address, too little room for it or
// for the data (MSG_TRUNC), MSG_PEEK, empty datagrams, connected UDP sockets and their ECONNREFUSED. recv(2), udp(7).
#include "io.h"

typedef struct {
  int fd;
  const struct sockaddr* to;
  socklen_t to_size;
  const char* text;
} Letter;

static void* late_sender(void* arg) {
  Letter* letter = arg;
  struct iovec v = {(void*)letter->text, strlen(letter->text)};
  struct msghdr message = {
      .msg_name = (void*)letter->to, .msg_namelen = letter->to_size, .msg_iov = &v, .msg_iovlen = 1};
  sleep_ms(1);
  errno = 123;
  CHECK_EQ(sendto(letter->fd, letter->text, v.iov_len, 0, letter->to, letter->to_size), (ssize_t)v.iov_len);
  CHECK_EQ(sendmsg(letter->fd, &message, 0), (ssize_t)v.iov_len);
  CHECK_EQ(errno, 123);
  return NULL;
}

static int bound_udp(struct sockaddr_in* address) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  socklen_t size = sizeof *address;
  CHECK_OK(fd);
  *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  CHECK_OK(bind(fd, (struct sockaddr*)address, size));
  CHECK_OK(getsockname(fd, (struct sockaddr*)address, &size));
  return fd;
}

// Two letters come for each look.
static void receive(int in, Letter letter, const void* from, socklen_t from_size) {
  char buffer[32];
  struct sockaddr_storage who;
  struct iovec v = {buffer, 4};
  ssize_t whole = (ssize_t)strlen(letter.text);
  for (int round = 0; round < 4; ++round) {  // the first tries miss, later ones aren't made
    // recvfrom waits for the first; a look at the second.
    pthread_t sender = start_thread(late_sender, &letter);
    socklen_t size = sizeof who;
    errno = 123;
    CHECK_EQ(recvfrom(in, buffer, sizeof buffer, 0, (struct sockaddr*)&who, &size), whole);
    CHECK_EQ(size, from_size);
    CHECK(memcmp(&who, from, size) == 0 && memcmp(buffer, letter.text, (size_t)whole) == 0);
    CHECK_EQ(recvfrom(in, buffer, 1, MSG_PEEK | MSG_TRUNC, NULL, NULL), whole);
    size = sizeof who;
    CHECK_EQ(recvfrom(in, buffer, 3, MSG_TRUNC, (struct sockaddr*)&who, &size), whole);
    CHECK_EQ(size, from_size);
    join_thread(sender);
    // recvmsg waits, has too little room for the data; then for the address.
    struct msghdr message = {
        .msg_name = &who, .msg_namelen = sizeof who, .msg_iov = &v, .msg_iovlen = 1, .msg_flags = -1};
    sender = start_thread(late_sender, &letter);
    CHECK_EQ(recvmsg(in, &message, 0), 4);
    CHECK_EQ(message.msg_flags, MSG_TRUNC);
    CHECK_EQ(message.msg_namelen, from_size);
    CHECK(memcmp(&who, from, from_size) == 0 && memcmp(buffer, letter.text, 4) == 0);
    join_thread(sender);
    memset(&who, 0xee, sizeof who);
    message.msg_namelen = 4;
    v.iov_len = sizeof buffer;
    CHECK_EQ(recvmsg(in, &message, MSG_PEEK), whole);
    CHECK_EQ(message.msg_flags, 0);
    CHECK_EQ(message.msg_namelen, from_size);
    CHECK(memcmp(&who, from, 4) == 0);
    CHECK_EQ(((unsigned char*)&who)[4], 0xee);
    size = 2;
    memset(&who, 0xee, sizeof who);
    CHECK_EQ(recvfrom(in, buffer, sizeof buffer, 0, (struct sockaddr*)&who, &size), whole);
    CHECK_EQ(size, from_size);
    CHECK(memcmp(&who, from, 2) == 0);
    CHECK_EQ(((unsigned char*)&who)[2], 0xee);
    v.iov_len = 4;
    // recv and read have no address; what doesn't fit is lost.
    sender = start_thread(late_sender, &letter);
    CHECK_EQ(recv(in, buffer, 2, MSG_TRUNC), whole);
    CHECK_EQ(read(in, buffer, 2), 2);
    join_thread(sender);
    CHECK_EQ(errno, 123);
    CHECK_ERR(recv(in, buffer, 1, MSG_DONTWAIT), EAGAIN);
  }
}

static void* body(void* arg) {
  struct sockaddr_in a, b;
  int one = bound_udp(&a), two = bound_udp(&b);
  receive(one, (Letter){two, (struct sockaddr*)&a, sizeof a, "a letter"}, &b, sizeof b);
  // Connected: others aren't heard, and no address is needed.
  CHECK_OK(connect(one, (struct sockaddr*)&b, sizeof b));
  int three = bound_udp(&(struct sockaddr_in){0});
  CHECK_EQ(sendto(three, "noise", 5, 0, (struct sockaddr*)&a, sizeof a), 5);
  receive(one, (Letter){two, (struct sockaddr*)&a, sizeof a, "another"}, &b, sizeof b);
  CHECK_EQ(send(one, "back", 4, 0), 4);
  char buffer[8];
  CHECK_EQ(recv(two, buffer, sizeof buffer, MSG_WAITALL), 4);
  // Nobody there any more: the answer comes with a later call, also to one that waits already.
  CHECK_OK(close(two));
  CHECK_EQ(send(one, "", 1, 0), 1);
  CHECK_ERR(recv(one, buffer, sizeof buffer, 0), ECONNREFUSED);
  CHECK_EQ(write(one, "x", 1), 1);
  CHECK_ERR(send(one, "y", 1, 0), ECONNREFUSED);
  CHECK_ERR(sendto(three, buffer, 70000, 0, (struct sockaddr*)&a, sizeof a), EMSGSIZE);
  CHECK_ERR(send(three, "x", 1, 0), EDESTADDRREQ);
  CHECK_OK(close(one));
  CHECK_OK(close(three));

  struct sockaddr_un ua, ub;
  socklen_t ua_size = unix_address(&ua), ub_size = unix_address(&ub);
  CHECK_OK(one = socket(AF_UNIX, SOCK_DGRAM, 0));
  CHECK_OK(two = socket(AF_UNIX, SOCK_DGRAM, 0));
  CHECK_OK(bind(one, (struct sockaddr*)&ua, ua_size));
  CHECK_OK(bind(two, (struct sockaddr*)&ub, ub_size));
  receive(one, (Letter){two, (struct sockaddr*)&ua, ua_size, "by unix"}, &ub, ub_size);
  // A sender without a name.
  CHECK_OK(three = socket(AF_UNIX, SOCK_DGRAM, 0));
  CHECK_EQ(sendto(three, "who", 3, 0, (struct sockaddr*)&ua, ua_size), 3);
  socklen_t size = sizeof ub;
  CHECK_EQ(recvfrom(one, buffer, sizeof buffer, 0, (struct sockaddr*)&ub, &size), 3);
  CHECK_EQ(size, 0);
  CHECK_OK(close(one));
  CHECK_ERR(sendto(three, "who", 3, 0, (struct sockaddr*)&ua, ua_size), ECONNREFUSED);
  CHECK_ERR(sendto(three, "who", 3, 0, (struct sockaddr*)&ua, 1), EINVAL);
  CHECK_OK(close(two));
  CHECK_OK(close(three));
  // What recvfrom and recvmsg refuse.
  CHECK_ERR(recvfrom(-1, buffer, 1, 0, (struct sockaddr*)&a, &size), EBADF);
  CHECK_ERR(recvmsg(-1, &(struct msghdr){0}, 0), EBADF);
  int file = unnamed_file(0);
  CHECK_ERR(recv(file, buffer, 1, 0), ENOTSOCK);
  CHECK_ERR(recvfrom(file, buffer, 1, 0, (struct sockaddr*)&a, &size), ENOTSOCK);
  CHECK_ERR(recvmsg(file, &(struct msghdr){0}, 0), ENOTSOCK);
  CHECK_ERR(send(file, buffer, 1, 0), ENOTSOCK);
  CHECK_OK(close(file));
  return arg;
}

int main(void) {
  run_everywhere(4, body);
  return 0;
}
