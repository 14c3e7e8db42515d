// pread, pwrite and their 64-bit names: offsets, the file position stays, short reads at the end of file, negative
// offsets, pipes, also pipes on which the thread has waited before. pread(2).
#include "io.h"

static void* late_writer(void* arg) {
  sleep_ms(1);
  CHECK_EQ(write(*(int*)arg, "x", 1), 1);
  return NULL;
}

static void* body(void* arg) {
  char buffer[64];
  int fd = unnamed_file(0);
  errno = 123;
  CHECK_EQ(pwrite(fd, "0123456789", 10, 0), 10);
  CHECK_EQ(pwrite64(fd, "ab", 2, 4), 2);
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
  CHECK_EQ(pread(fd, buffer, 10, 0), 10);
  CHECK(memcmp(buffer, "0123ab6789", 10) == 0);
  CHECK_EQ(pread64(fd, buffer, 3, 3), 3);
  CHECK(memcmp(buffer, "3ab", 3) == 0);
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
  // At and behind the end.
  CHECK_EQ(pread(fd, buffer, sizeof buffer, 7), 3);
  CHECK(memcmp(buffer, "789", 3) == 0);
  CHECK_EQ(pread(fd, buffer, sizeof buffer, 10), 0);
  CHECK_EQ(pread64(fd, buffer, sizeof buffer, 1 << 20), 0);
  CHECK_EQ(pread(fd, buffer, 0, 0), 0);
  // A hole, beyond 4 GiB too.
  CHECK_EQ(pwrite64(fd, "end", 3, 5ll << 30), 3);
  CHECK_EQ(lseek(fd, 0, SEEK_END), (5ll << 30) + 3);
  CHECK_EQ(pread64(fd, buffer, sizeof buffer, (5ll << 30) - 5), 8);
  CHECK(memcmp(buffer, "\0\0\0\0\0end", 8) == 0);
  CHECK_EQ(pwrite(fd, "", 0, 6ll << 30), 0);
  CHECK_EQ(lseek(fd, 0, SEEK_END), (5ll << 30) + 3);
  CHECK_EQ(errno, 123);
  // What can't be.
  CHECK_ERR(pread(fd, buffer, 1, -1), EINVAL);
  CHECK_ERR(pwrite(fd, buffer, 1, -1), EINVAL);
  CHECK_ERR(pread64(fd, buffer, 1, INT64_MIN), EINVAL);
  CHECK_ERR(pwrite64(fd, buffer, 1, -2), EINVAL);
  CHECK_ERR(pread(-1, buffer, 1, 0), EBADF);
  CHECK_ERR(pwrite(-1, buffer, 1, 0), EBADF);
  CHECK_ERR(pread(fd, (void*)8, 1, 0), EFAULT);
  CHECK_OK(close(fd));
  fd = open("/dev/null", O_WRONLY);
  CHECK_ERR(pread(fd, buffer, 1, 0), EBADF);
  CHECK_OK(close(fd));

  int ends[2];
  CHECK_OK(pipe(ends));
  for (int i = 0; i < 4; ++i) {
    pthread_t writer = start_thread(late_writer, &ends[1]);
    CHECK_EQ(read(ends[0], buffer, 1), 1);
    join_thread(writer);
  }
  for (int i = 0; i < 2; ++i) {
    CHECK_ERR(pread(ends[0], buffer, 1, 0), ESPIPE);
    CHECK_ERR(pread64(ends[0], buffer, 1, 5), ESPIPE);
    CHECK_ERR(pwrite(ends[1], buffer, 1, 0), ESPIPE);
    CHECK_ERR(pwrite64(ends[1], buffer, 1, 5), ESPIPE);
  }
  close_both(ends);
  return arg;
}

int main(void) {
  run_everywhere(4, body);
  return 0;
}
