// preadv, pwritev, preadv2, pwritev2 and their 64-bit names: offsets, -1 as the file position, RWF_ flags, what they
// refuse. preadv(2).
#include "io.h"

static const struct iovec kOut[3] = {{"abc", 3}, {"", 0}, {"defgh", 5}};

static void* late_writer(void* arg) {
  sleep_ms(1);
  CHECK_EQ(pwritev2(*(int*)arg, kOut, 3, -1, 0), 8);
  return NULL;
}

static void* body(void* arg) {
  char a[4], b[64], c[8];
  struct iovec in[3] = {{a, 4}, {b, 0}, {c, 8}};
  int fd = unnamed_file(0);
  errno = 123;
  CHECK_EQ(pwritev(fd, kOut, 3, 2), 8);
  CHECK_EQ(pwritev64(fd, kOut, 1, 10), 3);
  CHECK_EQ(pwritev2(fd, kOut, 1, 13, 0), 3);
  CHECK_EQ(pwritev64v2(fd, kOut, 1, 16, RWF_DSYNC), 3);
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
  CHECK_EQ(preadv(fd, in, 3, 1), 12);
  CHECK(memcmp(a, "\0abc", 4) == 0 && memcmp(c, "defghabc", 8) == 0);
  CHECK_EQ(preadv64(fd, in, 3, 12), 7);
  CHECK(memcmp(a, "cabc", 4) == 0 && memcmp(c, "abc", 3) == 0);
  CHECK_EQ(preadv2(fd, in, 1, 19, 0), 0);
  CHECK_EQ(preadv64v2(fd, in, 3, 100, 0), 0);
  CHECK_EQ(preadv64v2(fd, in, 1, 2, 0), 4);
  CHECK(memcmp(a, "abcd", 4) == 0);
  // -1 is the position, which moves.
  CHECK_OK(lseek(fd, 3, SEEK_SET));
  CHECK_EQ(preadv2(fd, in, 1, -1, 0), 4);
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 7);
  CHECK_EQ(pwritev2(fd, kOut, 1, -1, 0), 3);
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10);
  // Appended, wherever the offset is.
  CHECK_EQ(pwritev2(fd, kOut, 1, 0, RWF_APPEND), 3);
  CHECK_EQ(lseek(fd, 0, SEEK_END), 22);
  // Nothing to move.
  CHECK_EQ(preadv(fd, in, 0, 0), 0);
  CHECK_EQ(pwritev(fd, kOut, 0, 0), 0);
  CHECK_EQ(preadv2(fd, NULL, 0, 0, 0), 0);
  CHECK_EQ(errno, 123);

  static struct iovec many[1025];
  CHECK_ERR(preadv(fd, in, 3, -1), EINVAL);
  CHECK_ERR(pwritev(fd, kOut, 3, -1), EINVAL);
  CHECK_ERR(preadv64(fd, in, 3, -7), EINVAL);
  CHECK_ERR(pwritev64(fd, kOut, 3, -7), EINVAL);
  CHECK_ERR(preadv2(fd, in, 3, -2, 0), EINVAL);
  CHECK_ERR(pwritev2(fd, kOut, 3, -2, 0), EINVAL);
  CHECK_ERR(preadv(fd, many, 1025, 0), EINVAL);
  CHECK_ERR(pwritev(fd, many, 1025, 0), EINVAL);
  CHECK_ERR(preadv(fd, in, -1, 0), EINVAL);
  CHECK_ERR(pwritev2(fd, kOut, -1, 0, 0), EINVAL);
  CHECK_ERR(preadv2(fd, in, 1, 0, 0x40000000), EOPNOTSUPP);
  CHECK_ERR(pwritev2(fd, kOut, 1, 0, 0x40000000), EOPNOTSUPP);
  CHECK_ERR(preadv2(fd, in, 1, -1, 0x40000000), EOPNOTSUPP);
  CHECK_ERR(pwritev2(fd, kOut, 1, -1, 0x40000000), EOPNOTSUPP);
  CHECK_ERR(preadv(-1, in, 1, 0), EBADF);
  CHECK_ERR(pwritev(-1, kOut, 1, 0), EBADF);
  CHECK_OK(close(fd));

  int ends[2];
  CHECK_OK(pipe(ends));
  for (int i = 0; i < 4; ++i) {
    pthread_t writer = start_thread(late_writer, &ends[1]);
    CHECK_EQ(preadv2(ends[0], in, 3, -1, 0), 8);  // waits
    CHECK(memcmp(a, "abcd", 4) == 0 && memcmp(c, "efgh", 4) == 0);
    join_thread(writer);
  }
  for (int i = 0; i < 2; ++i) {
    CHECK_ERR(preadv(ends[0], in, 1, 0), ESPIPE);
    CHECK_ERR(pwritev(ends[1], kOut, 1, 0), ESPIPE);
    CHECK_ERR(preadv2(ends[0], in, 1, 0, 0), ESPIPE);
    CHECK_ERR(pwritev2(ends[1], kOut, 1, 3, 0), ESPIPE);
    CHECK_ERR(preadv2(ends[0], in, 1, -1, RWF_NOWAIT), EAGAIN);
    CHECK_ERR(preadv2(ends[0], in, 1, -1, 0x40000000), EOPNOTSUPP);
  }
  // RWF_NOWAIT never waits: a part goes, then nothing.
  static char block[1 << 18];
  struct iovec big = {block, sizeof block};
  ssize_t n = pwritev2(ends[1], &big, 1, -1, RWF_NOWAIT);
  CHECK(n > 0 && n < (ssize_t)sizeof block);
  CHECK_ERR(pwritev2(ends[1], &big, 1, -1, RWF_NOWAIT), EAGAIN);
  close_both(ends);
  return arg;
}

int main(void) {
  run_everywhere(4, body);
  return 0;
}
