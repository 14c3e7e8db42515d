// Main blocks in a bare read, then in stdio, while workers wait for I/O among themselves, some of which began before: they go on, and
// one of them ends main's read. Main isn't interrupted meanwhile.
#include "raw.h"

#include <sys/socket.h>

enum { kPairs = 6, kTurns = 200 };

static int g_pairs[kPairs][2], g_end[2];
static int g_begun[2];

static void* echo(void* arg) {
  int fd = *(int*)arg;
  char byte;
  while (read(fd, &byte, 1) == 1) CHECK_EQ(write(fd, &byte, 1), 1);
  return arg;
}

static void* ask(void* arg) {
  long i = (long)arg;
  char byte;
  CHECK_EQ(read(g_begun[0], &byte, 1), 1);  // main is on its way into its read
  for (int k = 0; k < kTurns; ++k) {
    char c = (char)k;
    CHECK_EQ(write(g_pairs[i][1], &c, 1), 1);
    CHECK_EQ(read(g_pairs[i][1], &byte, 1), 1);
    CHECK_EQ(byte, c);
    if (k % 20 == 0) usleep(2000);
  }
  CHECK_EQ(write(g_end[1], "x\n", 2), 2);
  return arg;
}

int main(void) {
  CHECK_OK(pipe(g_end));
  CHECK_OK(pipe(g_begun));
  FILE* stream = fdopen(dup(g_end[0]), "r");
  for (int round = 0; round < 2; ++round) {
    pthread_t threads[kPairs][2];
    for (long i = 0; i < kPairs; ++i) {
      CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, g_pairs[i]));
      threads[i][0] = start_thread(echo, &g_pairs[i][0]);
      threads[i][1] = start_thread(ask, (void*)i);
    }
    usleep(5000);  // so that they wait already
    CHECK_EQ(write(g_begun[1], "......", kPairs), kPairs);
    for (int i = 0; i < kPairs; ++i) {
      char line[8];
      if (round == 0) CHECK_EQ(raw_call(SYS_read, g_end[0], (long)line, 2, 0, 0, 0), 2);
      else CHECK(fgets(line, sizeof line, stream) != NULL);
    }
    for (int i = 0; i < kPairs; ++i) {
      join_thread(threads[i][1]);
      CHECK_OK(shutdown(g_pairs[i][1], SHUT_RDWR));
      join_thread(threads[i][0]);
      CHECK_OK(close(g_pairs[i][0]));
      CHECK_OK(close(g_pairs[i][1]));
    }
  }
  CHECK_EQ(fclose(stream), 0);
  return 0;
}
