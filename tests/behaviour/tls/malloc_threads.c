// malloc(3): blocks allocated by one thread, kept over parks and freed by another are whole; 40 threads exchange blocks
// through shared slots, threads end and are recycled with blocks in their caches; memory doesn't grow without bound.
#include "../check.h"

#include <malloc.h>
#include <sched.h>
#include <stdatomic.h>

enum { kThreads = 40, kBatches = 10, kRounds = 400, kSlots = 64 };

typedef struct {
  size_t size;
  unsigned char fill;
  unsigned char bytes[];
} Block;

static _Atomic(Block*) g_slots[kSlots];

static void check_and_free(Block* block) {
  if (block == NULL) return;
  for (size_t i = 0; i < block->size; ++i) CHECK_EQ(block->bytes[i], block->fill);
  free(block);
}

static void* run(void* arg) {
  unsigned state = (unsigned)(long)arg * 2654435761u + 1;
  for (int i = 0; i < kRounds; ++i) {
    state = state * 1664525u + 1013904223u;
    size_t size = (state >> 8) % (i % 50 == 0 ? 300000 : 2000);
    Block* block = malloc(sizeof *block + size);
    CHECK(block != NULL);
    block->size = size;
    block->fill = (unsigned char)(state >> 16);
    memset(block->bytes, block->fill, size);
    if (i % 4 == 0) sched_yield();
    if (i % 64 == 0) usleep(1);
    check_and_free(atomic_exchange(&g_slots[(state >> 20) % kSlots], block));
  }
  return NULL;
}

int main(void) {
  size_t early = 0;
  for (int batch = 0; batch < kBatches; ++batch) {
    pthread_t threads[kThreads];
    for (long i = 0; i < kThreads; ++i) threads[i] = start_thread(run, (void*)(batch * kThreads + i));
    for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
    if (batch == 1) early = mallinfo2().uordblks;
  }
  for (int i = 0; i < kSlots; ++i) check_and_free(atomic_exchange(&g_slots[i], NULL));
  // mallinfo2 sees the main arena only; all the others hold at most as much again.
  CHECK(mallinfo2().uordblks <= early + (32u << 20));
  return 0;
}
