// sendfile: with an offset (which moves, the file's position stays), without (the position moves), to a reader that is
// slow, to a non-blocking socket in part, at and behind the end of file, and what it refuses. sendfile(2).
#include "io.h"

#include <sys/sendfile.h>

enum { kSize = 600000 };
static int file;

static void* slow_reader(void* arg) {
  int fd = *(int*)arg;
  static __thread unsigned char buffer[20000];
  size_t at = 1000;
  ssize_t n;
  for (int i = 0; (n = read(fd, buffer, sizeof buffer)) > 0; ++i) {
    for (size_t k = 0; k < (size_t)n; k += 1 + k % 5) CHECK_EQ(buffer[k], byte_at(at + k));
    at += (size_t)n;
    if (i % 8 == 0) sleep_ms(1);
  }
  CHECK_EQ(n, 0);
  CHECK_EQ(at, kSize);
  return NULL;
}

static void* body(void* arg) {
  int pair[2];
  char buffer[100];
  for (int tcp = 0; tcp < 2; ++tcp) {
    if (tcp)
      tcp_pair(pair);
    else
      CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    pthread_t reader = start_thread(slow_reader, &pair[0]);
    off_t offset = 1000;
    errno = 123;
    while (offset < kSize) {
      off_t before = offset;
      ssize_t n = sendfile(pair[1], file, &offset, 1 << 20);
      CHECK(n > 0);
      CHECK_EQ(offset, before + n);
    }
    CHECK_EQ(sendfile(pair[1], file, &offset, 100), 0);
    CHECK_EQ(offset, kSize);
    offset = 2 * kSize;
    CHECK_EQ(sendfile64(pair[1], file, &offset, 100), 0);
    CHECK_EQ(offset, 2 * kSize);
    CHECK_EQ(errno, 123);
    CHECK_OK(shutdown(pair[1], SHUT_WR));
    join_thread(reader);
    close_both(pair);
  }
  CHECK_EQ(lseek(file, 0, SEEK_CUR), 0);

  // Without an offset: an own description's position.
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  int own = open(path, O_RDONLY);
  CHECK_OK(own);
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  CHECK_OK(lseek(own, kSize - 60, SEEK_SET));
  CHECK_EQ(sendfile(pair[1], own, NULL, 50), 50);
  CHECK_EQ(lseek(own, 0, SEEK_CUR), kSize - 10);
  CHECK_EQ(sendfile(pair[1], own, NULL, 50), 10);
  CHECK_EQ(sendfile(pair[1], own, NULL, 50), 0);
  CHECK_EQ(recv(pair[0], buffer, sizeof buffer, 0), 60);
  check_bytes(buffer, 60, kSize - 60);
  // To a file, and from one to a full non-blocking socket.
  int copy = unnamed_file(0);
  off_t offset = 7;
  CHECK_EQ(sendfile(copy, own, &offset, 90), 90);
  CHECK_EQ(pread(copy, buffer, sizeof buffer, 0), 90);
  check_bytes(buffer, 90, 7);
  CHECK_OK(fcntl(pair[1], F_SETFL, O_NONBLOCK));
  ssize_t n, all = 0;
  offset = 0;
  while ((n = sendfile(pair[1], own, &offset, kSize)) > 0) all += n;
  CHECK(n == -1 && errno == EAGAIN && all > 0 && all < kSize);
  CHECK_EQ(offset, all);
  // What can't be.
  CHECK_ERR(sendfile(pair[1], -1, NULL, 1), EBADF);
  CHECK_ERR(sendfile(-1, own, NULL, 1), EBADF);
  offset = -1;
  CHECK_ERR(sendfile(pair[1], own, &offset, 1), EINVAL);
  close_both(pair);
  CHECK_OK(pipe(pair));
  offset = 0;
  CHECK_ERR(sendfile(copy, pair[0], &offset, 1), ESPIPE);
  close_both(pair);
  CHECK_OK(close(copy));
  CHECK_OK(close(own));
  return arg;
}

int main(void) {
  static char data[kSize];
  file = unnamed_file(0);
  fill_bytes(data, kSize, 0);
  CHECK_EQ(pwrite(file, data, kSize, 0), kSize);
  run_everywhere(4, body);
  return 0;
}
