// Writes to what the kernel can't ask without waiting: eventfds, whose sum may have no room though they poll as writable, and pipes that
// were spliced to, filled by several threads at once. eventfd(2), splice(2), pipe(7).
#include "io.h"

#include <sys/eventfd.h>

enum { kWriters = 4, kPieces = 200, kPiece = 1000, kRounds = 20 };

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

/// Pieces of less than PIPE_BUF bytes stay whole, however full the pipe is.
static void* pieces(void* arg) {
  int from[2], seen[kWriters] = {0};
  char piece[kPiece];
  CHECK_OK(pipe(from));
  CHECK_OK(pipe(g_pipe));
  CHECK_EQ(write(from[1], "x", 1), 1);
  CHECK_EQ(splice(from[0], NULL, g_pipe[1], NULL, 1, 0), 1);
  CHECK_EQ(read(g_pipe[0], piece, 1), 1);
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
  close_both(from);
  close_both(g_pipe);
  return arg;
}

int main(void) {
  join_thread(start_thread(sums, NULL));
  join_thread(start_thread(pieces, NULL));
  return 0;
}
