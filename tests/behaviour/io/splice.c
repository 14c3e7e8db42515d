// splice, tee and vmsplice wait for what a pipe has not yet or has too much of, while others go on; copy_file_range; errors.
// splice(2), tee(2), vmsplice(2), copy_file_range(2).
#include "io.h"

enum { kSize = 200000 };

static void* feed(void* arg) {
  char part[1000];
  for (size_t at = 0; at < kSize; at += sizeof part) {
    fill_bytes(part, sizeof part, at);
    if (at == 0 || at == kSize / 2) sleep_ms(2);
    CHECK_EQ(write(*(int*)arg, part, sizeof part), sizeof part);
  }
  CHECK_OK(close(*(int*)arg));
  return NULL;
}

static void* drain(void* arg) {
  static _Thread_local char part[3000];
  size_t at = 0;
  sleep_ms(2);
  for (ssize_t n; (n = read(*(int*)arg, part, sizeof part)) != 0; at += (size_t)n) {
    CHECK(n > 0);
    check_bytes(part, (size_t)n, at);
  }
  CHECK_EQ(at, kSize);
  CHECK_OK(close(*(int*)arg));
  return NULL;
}

// From a pipe to another by splice, and a copy into a third by tee.
static void move(void) {
  int in[2], out[2], copy[2];
  CHECK_OK(pipe(in));
  CHECK_OK(pipe(out));
  CHECK_OK(pipe(copy));
  CHECK_ERR(tee(in[0], copy[1], 100, SPLICE_F_NONBLOCK), EAGAIN);
  CHECK_ERR(splice(in[0], NULL, out[1], NULL, 100, SPLICE_F_NONBLOCK), EAGAIN);
  pthread_t feeder = start_thread(feed, &in[1]), drainer = start_thread(drain, &out[0]), other = start_thread(drain, &copy[0]);
  for (ssize_t n; (n = tee(in[0], copy[1], 5000, 0)) != 0;) {
    CHECK(n > 0);
    for (ssize_t left = n, r; left > 0; left -= r) CHECK((r = splice(in[0], NULL, out[1], NULL, (size_t)left, 0)) > 0);
  }
  CHECK_OK(close(out[1]));
  CHECK_OK(close(copy[1]));
  join_thread(feeder);
  join_thread(drainer);
  join_thread(other);
  CHECK_OK(close(in[0]));
}

// From a file, and by vmsplice, into a pipe that is full meanwhile.
static void fill(int way) {
  int out[2], file = unnamed_file(0);
  char* bytes = malloc(kSize);
  off64_t offset = 0;
  size_t at = 0;
  fill_bytes(bytes, kSize, 0);
  CHECK_EQ(write(file, bytes, kSize), kSize);
  CHECK_OK(pipe(out));
  pthread_t drainer = start_thread(drain, &out[0]);
  while (at < kSize) {
    struct iovec one = {bytes + at, kSize - at};
    ssize_t n = way ? vmsplice(out[1], &one, 1, 0) : splice(file, &offset, out[1], NULL, kSize - at, 0);
    CHECK(n > 0);
    at += (size_t)n;
  }
  CHECK_OK(close(out[1]));
  join_thread(drainer);
  CHECK_OK(close(file));
  free(bytes);
}

static void copy(void) {
  int from = unnamed_file(0), to = unnamed_file(0);
  char bytes[5000];
  fill_bytes(bytes, sizeof bytes, 0);
  CHECK_EQ(write(from, bytes, sizeof bytes), sizeof bytes);
  off64_t at = 1000, where = 0;
  CHECK_EQ(copy_file_range(from, &at, to, &where, 3000, 0), 3000);
  CHECK(at == 4000 && where == 3000);
  CHECK_EQ(pread(to, bytes, sizeof bytes, 0), 3000);
  check_bytes(bytes, 3000, 1000);
  CHECK_ERR(copy_file_range(from, &at, -1, &where, 1, 0), EBADF);
  CHECK_ERR(copy_file_range(from, NULL, to, NULL, 1, 77), EINVAL);
  CHECK_ERR(splice(from, NULL, to, NULL, 1, 0), EINVAL);  // neither is a pipe
  CHECK_ERR(tee(from, to, 1, 0), EINVAL);
  CHECK_OK(close(from));
  CHECK_OK(close(to));
}

static void* body(void* arg) {
  move();
  fill(0);
  fill(1);
  copy();
  return arg;
}

int main(void) {
  run_everywhere(4, body);
  return 0;
}
