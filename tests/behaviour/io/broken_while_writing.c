// The reader goes while a large write waits: a socket's writer gets the count of what went, and SIGPIPE only with the
// next call; a pipe's writer gets the count too, and SIGPIPE at once. send(2), write(2), as Linux has it.
#include "io.h"

enum { kSize = 1 << 20, kWays = 5 };
static unsigned char data[kSize];
static int sigpipe_default;  // true in the child that must survive

typedef struct {
  int fd;
  int way;
} Job;

static ssize_t put(int fd, int way, int flags) {
  struct iovec halves[2] = {{data, kSize / 2}, {data + kSize / 2, kSize / 2}};
  struct msghdr message = {.msg_iov = halves, .msg_iovlen = 2};
  switch (way) {
    case 0:
      return write(fd, data, kSize);
    case 1:
      return writev(fd, halves, 2);
    case 2:
      return send(fd, data, kSize, flags);
    case 3:
      return sendto(fd, data, kSize, flags, NULL, 0);
    default:
      return sendmsg(fd, &message, flags);
  }
}

static void* writer(void* arg) {
  Job* job = arg;
  ssize_t n = put(job->fd, job->way, 0);
  CHECK(n > 0 && n < kSize);
  if (job->way >= 2 || !sigpipe_default) {
    // Unread bytes were thrown away with the reader: a socket may say that first.
    ssize_t more = put(job->fd, job->way, MSG_NOSIGNAL);
    CHECK(more == -1 && (errno == EPIPE || errno == ECONNRESET));
    CHECK_ERR(put(job->fd, job->way, MSG_NOSIGNAL), EPIPE);
  }
  return NULL;
}

// Reads a little, so that the writer is inside its call, and leaves.
static void leave(const int pair[2], int way) {
  Job job = {pair[1], way};
  char got[1000];
  pthread_t thread = start_thread(writer, &job);
  CHECK_EQ(recv(pair[0], got, sizeof got, MSG_WAITALL), (ssize_t)sizeof got);
  sleep_ms(2);
  CHECK_OK(close(pair[0]));
  join_thread(thread);
  CHECK_OK(close(pair[1]));
}

static void sockets(void) {
  int pair[2], small = 16384;
  for (int way = 0; way < kWays; ++way) {
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    leave(pair, way);
  }
  for (int way = 0; way < kWays; ++way) {
    tcp_pair(pair);
    CHECK_OK(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small));
    CHECK_OK(setsockopt(pair[0], SOL_SOCKET, SO_RCVBUF, &small, sizeof small));
    Job job = {pair[1], way};
    char got[1000];
    pthread_t thread = start_thread(writer, &job);
    CHECK_EQ(recv(pair[0], got, sizeof got, MSG_WAITALL), (ssize_t)sizeof got);
    sleep_ms(2);
    CHECK_OK(shutdown(pair[1], SHUT_WR));  // EPIPE for the waiting writer, without a reset
    join_thread(thread);
    close_both(pair);
  }
}

static void* from_thread(void* arg) {
  (void)arg;
  sockets();
  return NULL;
}

static void survivor(void) {
  signal(SIGPIPE, SIG_DFL);
  sigpipe_default = 1;
  join_thread(start_thread(from_thread, NULL));
}

static void* pipe_writer(void* arg) {
  Job* job = arg;
  ssize_t n = put(job->fd, job->way, 0);
  CHECK(n > 0 && n < kSize);
  CHECK_ERR(put(job->fd, job->way, 0), EPIPE);
  return NULL;
}

int main(void) {
  CHECK_CHILD_EXITS(fork_child(survivor), 0);
  signal(SIGPIPE, SIG_IGN);
  join_thread(start_thread(from_thread, NULL));
  for (int way = 0; way < 2; ++way) {
    int ends[2];
    CHECK_OK(pipe(ends));
    Job job = {ends[1], way};
    pthread_t thread = start_thread(pipe_writer, &job);
    char got[1000];
    CHECK(read(ends[0], got, sizeof got) > 0);
    sleep_ms(2);
    CHECK_OK(close(ends[0]));
    join_thread(thread);
    CHECK_OK(close(ends[1]));
  }
  return 0;
}
