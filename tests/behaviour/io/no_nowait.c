// Writes to and reads from what the kernel can't ask without waiting: eventfds, whose sum may have no room though they poll as writable, and pipes that
// were spliced to, filled and emptied by several threads at once, or broken. eventfd(2), splice(2), pipe(7).
#include "io.h"

#include <sys/eventfd.h>

enum { kWriters = 4, kPieces = 200, kPiece = 1000, kRounds = 20, kBytes = 2000, kBroken = 300 };

static int g_event, g_pipe[2];

static void* add(void* arg) {
  uint64_t value = (uint64_t)arg;
  CHECK_EQ(write(g_event, &value, sizeof value), 8);
  return arg;
}

static uint64_t take(void) {
  uint64_t value = 0;
  CHECK_EQ(read(g_event, &value, sizeof value), 8);
  return value;
}

/// Two writers wait for room, though one of a smaller number would not.
static void* sums(void* arg) {
  CHECK((g_event = eventfd(0, 0)) >= 0);
  for (int i = 0; i < kRounds; ++i) {
    add((void*)(UINT64_MAX - 3));
    pthread_t first = start_thread(add, (void*)5), second = start_thread(add, (void*)7);
    add((void*)1);
    if (i % 4 == 0) sleep_ms(3);
    CHECK_EQ(take(), UINT64_MAX - 2);
    join_thread(first);
    join_thread(second);
    CHECK_EQ(take(), 12);
  }
  CHECK_OK(close(g_event));
  return arg;
}

static void* fill(void* arg) {
  char piece[kPiece];
  memset(piece, 'a' + (int)(long)arg, sizeof piece);
  for (int i = 0; i < kPieces; ++i) CHECK_EQ(write(g_pipe[1], piece, sizeof piece), kPiece);
  return arg;
}

static void spliced_pipe(int fds[2]) {
  int from[2];
  char byte;
  CHECK_OK(pipe(from));
  CHECK_OK(pipe(fds));
  CHECK_EQ(write(from[1], "x", 1), 1);
  CHECK_EQ(splice(from[0], NULL, fds[1], NULL, 1, 0), 1);
  CHECK_EQ(read(fds[0], &byte, 1), 1);
  close_both(from);
}

/// Pieces of less than PIPE_BUF bytes stay whole, however full the pipe is.
static void* pieces(void* arg) {
  int seen[kWriters] = {0};
  char piece[kPiece];
  spliced_pipe(g_pipe);
  pthread_t writers[kWriters];
  for (long i = 0; i < kWriters; ++i) writers[i] = start_thread(fill, (void*)i);
  for (int i = 0; i < kWriters * kPieces; ++i) {
    for (size_t n = 0, r; n < sizeof piece; n += r) CHECK((ssize_t)(r = (size_t)read(g_pipe[0], piece + n, sizeof piece - n)) > 0);
    for (int k = 1; k < kPiece; ++k) CHECK_EQ(piece[k], piece[0]);
    CHECK(piece[0] >= 'a' && piece[0] < 'a' + kWriters);
    ++seen[piece[0] - 'a'];
  }
  for (int i = 0; i < kWriters; ++i) {
    join_thread(writers[i]);
    CHECK_EQ(seen[i], kPieces);
  }
  close_both(g_pipe);
  return arg;
}

static void* empty(void* arg) {
  char byte;
  long count = 0, r;
  while ((r = read(g_pipe[0], &byte, 1)) == 1) ++count;
  CHECK_EQ(r, 0);
  (void)arg;
  return (void*)count;
}

static void* shared(void* arg) {
  pthread_t readers[kWriters];
  long sum = 0;
  spliced_pipe(g_pipe);
  for (int i = 0; i < kWriters; ++i) readers[i] = start_thread(empty, NULL);
  for (int i = 0; i < kBytes; ++i) {
    CHECK_EQ(write(g_pipe[1], "x", 1), 1);
    if (i % 16 == 0) usleep(100);
  }
  CHECK_OK(close(g_pipe[1]));
  for (int i = 0; i < kWriters; ++i) sum += (long)join_thread(readers[i]);
  CHECK_EQ(sum, kBytes);
  // One who waits is cancelled.
  CHECK_OK(close(g_pipe[0]));
  spliced_pipe(g_pipe);
  pthread_t waiting = start_thread(empty, NULL);
  usleep(1000);
  CHECK_RC(pthread_cancel(waiting), 0);
  CHECK(join_thread(waiting) == PTHREAD_CANCELED);
  close_both(g_pipe);
  return arg;
}

/// Who has read and closed has let it go: the pipe is broken at once.
static void* broken(void* arg) {
  for (int i = 0; i < kBroken; ++i) {
    int fds[2];
    spliced_pipe(fds);
    CHECK_OK(close(fds[0]));
    CHECK_ERR(write(fds[1], "x", 1), EPIPE);
    CHECK_OK(close(fds[1]));
  }
  return arg;
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  run_everywhere(2, broken);
  shared(NULL);
  join_thread(start_thread(shared, NULL));
  join_thread(start_thread(sums, NULL));
  join_thread(start_thread(pieces, NULL));
  return 0;
}
