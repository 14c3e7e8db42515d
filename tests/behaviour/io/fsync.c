// fsync and fdatasync: files, directories, read-only descriptors, and what can't be synchronized. fsync(2).
#include "io.h"

static void* body(void* arg) {
  int ends[2], fd = unnamed_file(0);
  errno = 123;
  for (int i = 0; i < 5; ++i) {
    CHECK_EQ(write(fd, "0123456789", 10), 10);
    CHECK_EQ(fdatasync(fd), 0);
    CHECK_EQ(fsync(fd), 0);
  }
  CHECK_OK(close(fd));
  fd = open("/tmp", O_RDONLY | O_DIRECTORY);
  CHECK_EQ(fsync(fd), 0);
  CHECK_OK(close(fd));
  CHECK_EQ(errno, 123);
  CHECK_OK(pipe(ends));
  CHECK_ERR(fsync(ends[1]), EINVAL);
  CHECK_ERR(fdatasync(ends[1]), EINVAL);
  CHECK_ERR(fsync(ends[0]), EINVAL);
  close_both(ends);
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  CHECK_ERR(fsync(ends[0]), EINVAL);
  CHECK_ERR(fdatasync(ends[0]), EINVAL);
  close_both(ends);
  CHECK_ERR(fsync(-1), EBADF);
  CHECK_ERR(fdatasync(-1), EBADF);
  CHECK_ERR(fsync(ends[0] + 1000), EBADF);
  return arg;
}

int main(void) {
  run_everywhere(8, body);
  return 0;
}
