// pthread_attr_setstack(3): the thread runs on the memory that the program supplied, and after the join the program may
// reuse, overwrite or unmap that memory.
#include "../check.h"

#include <stdint.h>
#include <sys/mman.h>

enum { kSize = 256 * 1024, kThreads = 8, kRounds = 20 };

static pthread_barrier_t g_barrier;

static void* run(void* arg) {
  char local[1024];
  memset(local, 0x5a, sizeof local);
  uintptr_t low = (uintptr_t)arg;
  CHECK((uintptr_t)local >= low);
  CHECK((uintptr_t)(local + sizeof local) <= low + kSize);
  pthread_attr_t attr;
  void* reported = NULL;
  size_t size = 0;
  CHECK_RC(pthread_getattr_np(pthread_self(), &attr), 0);
  CHECK_RC(pthread_attr_getstack(&attr, &reported, &size), 0);
  CHECK_RC(pthread_attr_destroy(&attr), 0);
  CHECK(reported == arg);
  CHECK_EQ(size, kSize);
  pthread_barrier_wait(&g_barrier);
  sleep_ms(1);
  pthread_barrier_wait(&g_barrier);
  for (size_t i = 0; i < sizeof local; ++i) CHECK_EQ(local[i], 0x5a);
  return arg;
}

int main(void) {
  CHECK_RC(pthread_barrier_init(&g_barrier, NULL, kThreads), 0);
  char* stacks[kThreads];
  for (int i = 0; i < kThreads; ++i) {
    stacks[i] = mmap(NULL, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    CHECK(stacks[i] != MAP_FAILED);
  }
  for (int round = 0; round < kRounds; ++round) {
    pthread_t threads[kThreads];
    for (int i = 0; i < kThreads; ++i) {
      pthread_attr_t attr;
      CHECK_RC(pthread_attr_init(&attr), 0);
      CHECK_RC(pthread_attr_setstack(&attr, stacks[i], kSize), 0);
      CHECK_RC(pthread_create(&threads[i], &attr, run, stacks[i]), 0);
      CHECK_RC(pthread_attr_destroy(&attr), 0);
    }
    for (int i = 0; i < kThreads; ++i) {
      CHECK(join_thread(threads[i]) == stacks[i]);
      memset(stacks[i], 0xee, kSize);
    }
  }
  for (int i = 0; i < kThreads; ++i) CHECK_OK(munmap(stacks[i], kSize));
  // Nothing kept a reference to the memory that is gone.
  for (int i = 0; i < 100; ++i) {
    char* stack = mmap(NULL, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED);
    memset(stack, 0xee, kSize);
    CHECK_OK(munmap(stack, kSize));
  }
  return 0;
}
