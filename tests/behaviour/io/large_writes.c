// A write larger than what the pipe or socket holds waits for a slow reader and returns the whole size; every byte
// arrives, in order. write, writev, pwritev2, send, sendto, sendmsg; pipes, UNIX and TCP sockets. write(2), send(2).
#include "io.h"

enum { kSize = 400000, kWays = 6, kElements = 40 };
static unsigned char data[kSize];

typedef struct {
  int fd;
  int way;
} Job;

static void* writer(void* arg) {
  Job* job = arg;
  struct iovec v[kElements];
  for (int i = 0; i < kElements; ++i) v[i] = (struct iovec){data + i * (kSize / kElements), kSize / kElements};
  struct msghdr message = {.msg_iov = v, .msg_iovlen = kElements};
  ssize_t n = 0;
  errno = 123;
  switch (job->way) {
    case 0:
      n = write(job->fd, data, kSize);
      break;
    case 1:
      n = writev(job->fd, v, kElements);
      break;
    case 2:
      n = pwritev2(job->fd, v, kElements, -1, 0);
      break;
    case 3:
      n = send(job->fd, data, kSize, 0);
      break;
    case 4:
      n = sendto(job->fd, data, kSize, MSG_NOSIGNAL, NULL, 0);
      break;
    case 5:
      n = sendmsg(job->fd, &message, 0);
      break;
  }
  CHECK_EQ(n, kSize);
  CHECK_EQ(errno, 123);
  CHECK_OK(close(job->fd));
  return NULL;
}

static void transfer(int in, int out, int way) {
  Job job = {out, way};
  pthread_t thread = start_thread(writer, &job);
  static const size_t kReads[] = {1, 4096, 777, 65536, 13, 30000};
  static __thread unsigned char buffer[65536];
  size_t at = 0;
  ssize_t n;
  for (int i = 0; (n = read(in, buffer, kReads[i % 6])) > 0; ++i) {
    CHECK(memcmp(buffer, data + at, (size_t)n) == 0);
    at += (size_t)n;
    if (i % 8 == 0) sleep_ms(1);
  }
  CHECK_EQ(n, 0);
  CHECK_EQ(at, kSize);
  join_thread(thread);
  CHECK_OK(close(in));
}

static void* body(void* arg) {
  long kind = (long)arg;
  int pair[2];
  for (int way = 0; way < (kind == 0 ? 3 : kWays); ++way) {
    if (kind == 0) CHECK_OK(pipe(pair));
    if (kind == 1) CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    if (kind == 2) tcp_pair(pair);
    transfer(pair[0], pair[1], way);
  }
  return NULL;
}

int main(void) {
  pthread_t threads[6];
  fill_bytes(data, kSize, 0);
  for (long i = 0; i < 6; ++i) threads[i] = start_thread(body, (void*)(i % 3));
  for (int i = 0; i < 6; ++i) join_thread(threads[i]);
  for (long kind = 0; kind < 3; ++kind) body((void*)kind);
  return 0;
}
