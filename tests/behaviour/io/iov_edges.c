// readv and writev: empty vectors and elements, too many, too long, 1,024 elements, a message spread over elements, bad
// addresses. readv(2).
#include "io.h"

static void* late_writer(void* arg) {
  sleep_ms(1);
  struct iovec v[3] = {{"ab", 2}, {"", 0}, {"cdefg", 5}};
  CHECK_EQ(writev(*(int*)arg, v, 3), 7);
  return NULL;
}

static void test(const int pair[2]) {
  char a[3], b[1], c[16];
  struct iovec in[4] = {{a, 3}, {NULL, 0}, {b, 1}, {c, 16}};
  // Waits, and takes what there is.
  for (int i = 0; i < 4; ++i) {
    pthread_t writer = start_thread(late_writer, (void*)&pair[1]);
    errno = 123;
    CHECK_EQ(readv(pair[0], in, 4), 7);
    CHECK_EQ(errno, 123);
    CHECK(memcmp(a, "abc", 3) == 0 && *b == 'd' && memcmp(c, "efg", 3) == 0);
    join_thread(writer);
  }
  // Nothing asked for: at once.
  errno = 123;
  CHECK_EQ(readv(pair[0], in, 0), 0);
  CHECK_EQ(writev(pair[1], in, 0), 0);
  CHECK_EQ(readv(pair[0], &in[1], 1), 0);
  CHECK_EQ(writev(pair[1], &in[1], 1), 0);
  CHECK_EQ(errno, 123);
  // 1,024 elements are served, 1,025 aren't.
  char letters[1025], got[1025];
  struct iovec out[1025], into[1025];
  for (int i = 0; i < 1025; ++i) {
    letters[i] = (char)('a' + i % 26);
    out[i] = (struct iovec){&letters[i], 1};
    into[i] = (struct iovec){&got[i], 1};
  }
  CHECK_EQ(writev(pair[1], out, 1024), 1024);
  CHECK_EQ(readv(pair[0], into, 1024), 1024);
  CHECK(memcmp(letters, got, 1024) == 0);
  CHECK_ERR(writev(pair[1], out, 1025), EINVAL);
  CHECK_ERR(readv(pair[0], into, 1025), EINVAL);
  CHECK_ERR(writev(pair[1], out, -1), EINVAL);
  CHECK_ERR(readv(pair[0], into, -1), EINVAL);
  // Lengths that don't add up.
  struct iovec bad[2] = {{letters, 1}, {got, SIZE_MAX}};
  CHECK_ERR(writev(pair[1], bad, 2), EINVAL);
  CHECK_ERR(readv(pair[0], bad, 2), EINVAL);
  CHECK_ERR(writev(pair[1], (struct iovec*)8, 2), EFAULT);
  CHECK_ERR(readv(pair[0], (struct iovec*)8, 2), EFAULT);
  struct iovec nowhere = {(void*)8, 1};
  CHECK_ERR(writev(pair[1], &nowhere, 1), EFAULT);
  CHECK_ERR(readv(-1, in, 4), EBADF);
  CHECK_ERR(writev(-1, in, 4), EBADF);
}

static void* body(void* arg) {
  int pair[2];
  CHECK_OK(pipe(pair));
  test(pair);
  CHECK_ERR(readv(pair[1], &(struct iovec){&pair, 1}, 1), EBADF);
  CHECK_ERR(writev(pair[0], &(struct iovec){&pair, 1}, 1), EBADF);
  close_both(pair);
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  test(pair);
  close_both(pair);
  tcp_pair(pair);
  test(pair);
  close_both(pair);
  return arg;
}

int main(void) {
  run_everywhere(1, body);
  return 0;
}
