// fork(2) while other threads are in malloc and in stdio at all times, from main and from a worker: the child can use malloc, printf and
// fopen at once, and a stream whose lock another thread held at the fork is free in it.
#include "../check.h"

#include <fcntl.h>
#include <stdatomic.h>

enum { kBusy = 6, kForks = 12 };

static atomic_int g_stop;
static FILE* g_stream;

static void* in_malloc(void* arg) {
  unsigned seed = (unsigned)(long)arg + 7;
  while (!atomic_load(&g_stop)) {
    for (int i = 0; i < 50; ++i) {
      seed = seed * 1103515245 + 12345;
      char* p = malloc(32 + (seed >> 16) % 100000);
      CHECK(p != NULL);
      *p = 1;
      free(p);
    }
    usleep(50);
  }
  return arg;
}

static void* in_stdio(void* arg) {
  for (int i = 0; !atomic_load(&g_stop); ++i) {
    CHECK(fprintf(g_stream, "line %d of %ld\n", i, (long)arg) > 0);
    if (i % 20 == 0) usleep(50);
    if (i % 64 == 0) {
      flockfile(g_stream);
      usleep(100);
      funlockfile(g_stream);
    }
  }
  return arg;
}

static void child_of(int pipe_end) {
  alarm(30);  // a child that deadlocks dies
  char* blocks[64];
  for (int i = 0; i < 64; ++i) {
    blocks[i] = malloc((size_t)(i + 1) * 1000);
    if (!blocks[i]) _exit(3);
    memset(blocks[i], i, (size_t)(i + 1) * 1000);
  }
  for (int i = 0; i < 64; ++i) free(blocks[i]);
  FILE* out = fdopen(pipe_end, "w");
  if (!out || fprintf(out, "child %d\n", 42) < 0 || fflush(out) != 0) _exit(4);
  if (fprintf(g_stream, "x") < 0) _exit(5);  // to the buffer: the descriptor's offset is shared with the parent
  FILE* null = fopen("/dev/null", "w");
  if (!null || fputs("y", null) < 0 || fclose(null) != 0) _exit(6);
  _exit(0);
}

static void* fork_some(void* arg) {
  for (int i = 0; i < kForks; ++i) {
    int fds[2];
    CHECK_OK(pipe2(fds, O_CLOEXEC));
    pid_t pid = fork();
    CHECK_OK(pid);
    if (pid == 0) child_of(fds[1]);
    close(fds[1]);
    char text[32];
    ssize_t n = 0, r;
    while ((r = read(fds[0], text + n, sizeof text - (size_t)n)) > 0) n += r;
    CHECK_CHILD_EXITS(pid, 0);
    CHECK_EQ(n, 9);
    CHECK(memcmp(text, "child 42\n", 9) == 0);
    close(fds[0]);
  }
  return arg;
}

int main(void) {
  g_stream = fopen("/dev/null", "w");
  CHECK(g_stream != NULL);
  pthread_t busy[2 * kBusy];
  for (long i = 0; i < 2 * kBusy; ++i) busy[i] = start_thread(i % 2 ? in_malloc : in_stdio, (void*)i);
  fork_some(NULL);
  pthread_t worker = start_thread(fork_some, NULL);
  join_thread(worker);
  atomic_store(&g_stop, 1);
  for (int i = 0; i < 2 * kBusy; ++i) join_thread(busy[i]);
  return 0;
}
