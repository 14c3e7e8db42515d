// fork(2) from 8 workers and the main thread at the same time, while others allocate memory and print: malloc and stdio
// work in every child (glibc's promise), each parent thread gets the status of its own children.
#include "../check.h"

#include <semaphore.h>
#include <stdatomic.h>

enum { kForkers = 8, kRounds = 10, kBusy = 4 };

static atomic_int g_stop;
static FILE* g_null;

static void* be_busy(void* arg) {
  unsigned turns = 0;
  while (!atomic_load(&g_stop)) {
    char* block = malloc(100 + turns % 5000);
    CHECK(block != NULL);
    fprintf(g_null, "turn %u at %p\n", turns++, (void*)block);
    free(block);
    if (turns % 64 == 0) usleep(10);
  }
  return arg;
}

static void* identity(void* arg) { return arg; }

static void* fork_often(void* arg) {
  int me = (int)(long)arg;
  for (int i = 0; i < kRounds; ++i) {
    pid_t pid = fork();
    CHECK_OK(pid);
    if (pid == 0) {
      char* block = malloc(10000);
      CHECK(block != NULL);
      CHECK(fprintf(g_null, "child of %d\n", me) > 0);
      CHECK_EQ(fflush(g_null), 0);
      free(block);
      CHECK((long)join_thread(start_thread(identity, (void*)7)) == 7);
      _exit(100 + me * 10 + i);
    }
    CHECK_CHILD_EXITS(pid, 100 + me * 10 + i);
  }
  return NULL;
}

int main(void) {
  g_null = fopen("/dev/null", "w");
  CHECK(g_null != NULL);
  pthread_t busy[kBusy];
  pthread_t forkers[kForkers];
  for (int i = 0; i < kBusy; ++i) busy[i] = start_thread(be_busy, NULL);
  for (long i = 0; i < kForkers; ++i) forkers[i] = start_thread(fork_often, (void*)(i + 1));
  fork_often((void*)0);
  for (int i = 0; i < kForkers; ++i) join_thread(forkers[i]);
  atomic_store(&g_stop, 1);
  for (int i = 0; i < kBusy; ++i) join_thread(busy[i]);
  return 0;
}
