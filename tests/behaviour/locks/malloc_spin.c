// malloc from many threads while some are interrupted in the middle of it at random and kept off their CPU by spinners: more threads that
// compute than CPUs, all of them in the allocator, and memory that one thread allocates and another frees.
#include "../check.h"

#include <stdatomic.h>
#include <sys/sysinfo.h>

enum { kThreads = 48, kRounds = 400, kShelf = 256 };

static _Atomic(char*) g_shelf[kShelf];
static atomic_int g_left;
static atomic_long g_spins;

static void* allocate(void* arg) {
  unsigned seed = (unsigned)(long)arg + 1;
  for (int i = 0; i < kRounds; ++i) {
    seed = seed * 1103515245 + 12345;
    size_t size = (seed >> 8) % 64 == 0 ? 300000 + (seed >> 16) : 16 + (seed >> 16) % 4000;
    char* p = malloc(size + sizeof(size_t));
    CHECK(p != NULL);
    memcpy(p, &size, sizeof size);
    memset(p + sizeof size, (int)(size & 0xff), size);
    p = atomic_exchange(&g_shelf[(seed >> 4) % kShelf], p);
    if (p) {
      memcpy(&size, p, sizeof size);
      for (size_t k = 0; k < size; k += 997) CHECK_EQ((unsigned char)p[sizeof size + k], size & 0xff);
      if (i % 7 == 0) {
        p = realloc(p, size / 2 + sizeof size);
        CHECK(p != NULL);
      }
      free(p);
    }
    if (i % 50 == 0) usleep(100);
  }
  atomic_fetch_sub(&g_left, 1);
  return arg;
}

static void* spin(void* arg) {
  while (atomic_load(&g_left) > 0) {
    for (int i = 0; i < 1000; ++i) atomic_fetch_add_explicit(&g_spins, 1, memory_order_relaxed);
    free(malloc(64 + (size_t)(long)arg));
  }
  return arg;
}

int main(void) {
  int spinners = get_nprocs() + 2;
  pthread_t threads[kThreads], spinning[spinners];
  atomic_store(&g_left, kThreads);
  for (long i = 0; i < spinners; ++i) spinning[i] = start_thread(spin, (void*)i);
  for (long i = 0; i < kThreads; ++i) threads[i] = start_thread(allocate, (void*)i);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  for (int i = 0; i < spinners; ++i) join_thread(spinning[i]);
  for (int i = 0; i < kShelf; ++i) free(atomic_load(&g_shelf[i]));
  return 0;
}
