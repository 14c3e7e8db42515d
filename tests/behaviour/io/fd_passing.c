// SCM_RIGHTS: descriptors travel to a recvmsg that waits, several at once, with MSG_CMSG_CLOEXEC, with a message too
// large to go at once, and into too little room (MSG_CTRUNC). unix(7), cmsg(3).
#include "io.h"

enum { kFds = 3, kBig = 500000 };
typedef union {
  struct cmsghdr header;
  char room[CMSG_SPACE(kFds * sizeof(int))];
} Control;

static unsigned char big[kBig];

static ssize_t send_fds(int socket, const int* fds, int count, void* data, size_t size) {
  Control control = {0};
  struct iovec v[2] = {{data, size / 2}, {(char*)data + size / 2, size - size / 2}};
  struct msghdr message = {.msg_iov = v,
                           .msg_iovlen = 2,
                           .msg_control = &control,
                           .msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count)};
  control.header = (struct cmsghdr){CMSG_LEN(sizeof(int) * (size_t)count), SOL_SOCKET, SCM_RIGHTS};
  memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * (size_t)count);
  return sendmsg(socket, &message, 0);
}

// Returns the bytes; *count is set to the number of descriptors.
static ssize_t receive_fds(int socket, int flags, size_t room, int* fds, int* count, int* out_flags, void* data,
                           size_t size) {
  Control control;
  struct iovec v = {data, size};
  struct msghdr message = {
      .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = room, .msg_flags = -1};
  ssize_t n = recvmsg(socket, &message, flags);
  *out_flags = message.msg_flags;
  *count = 0;
  struct cmsghdr* c = CMSG_FIRSTHDR(&message);
  if (n >= 0 && c) {
    CHECK_EQ(c->cmsg_level, SOL_SOCKET);
    CHECK_EQ(c->cmsg_type, SCM_RIGHTS);
    *count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(fds, CMSG_DATA(c), sizeof(int) * (size_t)*count);
  }
  return n;
}

typedef struct {
  int socket;
  int fds[kFds];
  int count;
  int big;
} Parcel;

static void* late_sender(void* arg) {
  Parcel* p = arg;
  sleep_ms(1);
  errno = 123;
  if (p->big)
    CHECK_EQ(send_fds(p->socket, p->fds, p->count, big, kBig), kBig);
  else
    CHECK_EQ(send_fds(p->socket, p->fds, p->count, "ab", 2), 2);
  CHECK_EQ(errno, 123);
  return NULL;
}

static void* body(void* arg) {
  int pair[2], got[kFds], count, flags;
  char data[8];
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  for (int round = 0; round < 5; ++round) {
    int ends[2];
    CHECK_OK(pipe(ends));
    int nonblocking = fcntl(ends[0], F_GETFL);
    CHECK_OK(fcntl(ends[0], F_SETFL, nonblocking | O_NONBLOCK));
    Parcel parcel = {pair[1], {ends[0], ends[1], pair[0]}, kFds, 0};
    pthread_t sender = start_thread(late_sender, &parcel);
    errno = 123;
    CHECK_EQ(
        receive_fds(pair[0], round % 2 ? MSG_CMSG_CLOEXEC : 0, sizeof(Control), got, &count, &flags, data, sizeof data),
        2);
    CHECK_EQ(errno, 123);
    CHECK_EQ(count, kFds);
    CHECK_EQ(flags, round % 2 ? MSG_CMSG_CLOEXEC : 0);
    join_thread(sender);
    close_both(ends);
    for (int i = 0; i < kFds; ++i) CHECK_EQ(fcntl(got[i], F_GETFD), round % 2 ? FD_CLOEXEC : 0);
    // They work; the one that came as O_NONBLOCK is it still.
    CHECK_ERR(read(got[0], data, 1), EAGAIN);
    CHECK_EQ(write(got[1], "z", 1), 1);
    CHECK_EQ(read(got[0], data, 1), 1);
    for (int i = 0; i < kFds; ++i) CHECK_OK(close(got[i]));
    // Room for one: the others are gone.
    int null = open("/dev/null", O_RDWR);
    parcel = (Parcel){pair[1], {null, null, null}, kFds, 0};
    sender = start_thread(late_sender, &parcel);
    CHECK_EQ(receive_fds(pair[0], 0, CMSG_LEN(sizeof(int)), got, &count, &flags, data, sizeof data), 2);
    CHECK_EQ(count, 1);
    CHECK_EQ(flags, MSG_CTRUNC);
    join_thread(sender);
    CHECK_OK(close(got[0]));
    // No room at all, and a call that doesn't ask for any.
    sender = start_thread(late_sender, &parcel);
    CHECK_EQ(receive_fds(pair[0], 0, 0, got, &count, &flags, data, sizeof data), 2);
    CHECK_EQ(count, 0);
    CHECK_EQ(flags, MSG_CTRUNC);
    join_thread(sender);
    sender = start_thread(late_sender, &parcel);
    CHECK_EQ(recv(pair[0], data, sizeof data, 0), 2);
    join_thread(sender);
    // With a message that goes in pieces: once.
    parcel.big = 1;
    parcel.count = 1;
    sender = start_thread(late_sender, &parcel);
    size_t at = 0;
    int all = 0;
    unsigned char* into = malloc(kBig);
    while (at < kBig) {
      ssize_t n = receive_fds(pair[0], 0, sizeof(Control), got, &count, &flags, into + at, kBig - at);
      CHECK(n > 0);
      at += (size_t)n;
      for (int i = 0; i < count; ++i) CHECK_OK(close(got[i]));
      all += count;
    }
    CHECK_EQ(all, 1);
    CHECK(memcmp(into, big, kBig) == 0);
    free(into);
    join_thread(sender);
    CHECK_OK(close(null));
  }
  CHECK_ERR(send_fds(pair[1], (int[]){-1}, 1, "ab", 2), EBADF);
  CHECK_OK(close(pair[1]));
  CHECK_EQ(receive_fds(pair[0], 0, sizeof(Control), got, &count, &flags, data, sizeof data), 0);
  CHECK_EQ(count, 0);
  CHECK_OK(close(pair[0]));
  return arg;
}

int main(void) {
  fill_bytes(big, kBig, 0);
  run_everywhere(4, body);
  return 0;
}
