// What malloc caches for a thread is free for others when the thread has ended: threads that freed blocks of many sizes leave little behind, and
// new threads find a malloc that works.
#include "../memory.h"

#include <malloc.h>
#include <semaphore.h>
#include <stdint.h>

enum { kThreads = 300, kSizes = 64, kEach = 7 };

static sem_t g_arrived, g_gate;

static void* fills(void* arg) {
  unsigned char* blocks[kSizes][kEach];
  for (int i = 0; i < kSizes; ++i)
    for (int k = 0; k < kEach; ++k) {
      CHECK((blocks[i][k] = malloc(16 * i + 24)) != NULL);
      memset(blocks[i][k], i, 16 * i + 24);
    }
  for (int i = 0; i < kSizes; ++i)
    for (int k = 0; k < kEach; ++k) {
      CHECK_EQ(blocks[i][k][0], i);
      CHECK_EQ(blocks[i][k][16 * i + 23], i);
      free(blocks[i][k]);
    }
  CHECK_OK(sem_post(&g_arrived));
  CHECK_OK(sem_wait(&g_gate));
  return arg;
}

// Leaves some blocks of each size in the cache, not as many as it takes.
static void* fills_in_part(void* arg) {
  void* blocks[kSizes][5];
  for (int i = 0; i < kSizes; ++i)
    for (int k = 0; k < 5; ++k) CHECK((blocks[i][k] = malloc(16 * i + 24)) != NULL);
  for (int i = 0; i < kSizes; ++i)
    for (int k = 0; k < 5; ++k) free(blocks[i][k]);
  return arg;
}

// A block that looks as if it were in the cache makes malloc walk the whole list, which must be as long as malloc thinks.
static void* walks(void* arg) {
  volatile uint64_t* volatile freed = malloc(88);
  free((void*)freed);
  uint64_t key = freed[1];
  volatile uint64_t* blocks[8];
  for (int k = 0; k < 8; ++k) blocks[k] = malloc(88);
  for (int k = 0; k < 7; ++k) free((void*)blocks[k]);
  blocks[7][1] = key;
  free((void*)blocks[7]);
  return arg;
}

int main(void) {
  static pthread_t threads[kThreads];
  CHECK_OK(sem_init(&g_arrived, 0, 0));
  CHECK_OK(sem_init(&g_gate, 0, 0));
  long before = resident_kib();
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < kThreads; ++i) CHECK_OK(pthread_create(&threads[i], NULL, fills, NULL));
    for (int i = 0; i < kThreads; ++i) CHECK_OK(sem_wait(&g_arrived));
    long alive = resident_kib() - before;
    CHECK(alive > kThreads * 200);
    for (int i = 0; i < kThreads; ++i) CHECK_OK(sem_post(&g_gate));
    for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
    malloc_trim(0);
    long left = resident_kib() - before;
    if (left >= alive / 4) fprintf(stderr, "round %d: %ld of %ld KiB are left\n", round, left, alive);
    CHECK(left < alive / 4);
  }
  for (int i = 0; i < 20; ++i) {  // each pair in one another's memory
    join_thread(start_thread(fills_in_part, NULL));
    join_thread(start_thread(walks, NULL));
  }
  return 0;
}
