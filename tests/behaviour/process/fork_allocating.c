// fork(2), and threads that begin and end, while others allocate and free memory all the time, and never wait: fork takes all of malloc's locks
// (glibc's promise to the child), so whoever is interrupted with one must get on. (With VTSHIM_TLS=swap time slices ended in malloc, and fork hung.)
#include "../check.h"

#include <stdatomic.h>

enum { kAllocating = 3, kForks = 40, kBlocks = 32 };

static atomic_int g_stop;

static void* allocates(void* arg) {
  void* blocks[kBlocks] = {0};
  for (unsigned i = 0; !atomic_load_explicit(&g_stop, memory_order_relaxed); ++i) {
    free(blocks[i % kBlocks]);
    volatile char* block = blocks[i % kBlocks] = malloc(1500 + i * 7919u % 20000);  // more than what threads keep of their own
    CHECK(block != NULL);
    for (int k = 0; k < 100; ++k) block[k] = (char)i;
  }
  for (int i = 0; i < kBlocks; ++i) free(blocks[i]);
  return arg;
}

static void* allocates_once(void* arg) {
  free(malloc(5000));
  return arg;
}

int main(void) {
  pthread_t threads[kAllocating];
  for (int i = 0; i < kAllocating; ++i) threads[i] = start_thread(allocates, NULL);
  for (int i = 0; i < kForks; ++i) {
    CHECK(join_thread(start_thread(allocates_once, &g_stop)) == &g_stop);
    pid_t pid = fork();
    CHECK_OK(pid);
    if (pid == 0) {
      void* block = malloc(5000);
      CHECK(block != NULL);
      free(block);
      CHECK(join_thread(start_thread(allocates_once, &g_stop)) == &g_stop);
      _exit(7);
    }
    CHECK_CHILD_EXITS(pid, 7);
  }
  atomic_store(&g_stop, 1);
  for (int i = 0; i < kAllocating; ++i) join_thread(threads[i]);
  return 0;
}
