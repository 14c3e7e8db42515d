// pthread_attr_setstacksize(3): a stack of 16 MiB can be used to 15.5 MiB by recursion, also across blocking calls deep
// down, and again in the next thread.
#include "../check.h"

#include <semaphore.h>
#include <stdint.h>

enum { kSize = 16 << 20, kFrame = 1024, kUsable = kSize - (1 << 19) };

static sem_t g_sem;

__attribute__((noinline)) static unsigned recurse(uintptr_t top, unsigned depth) {
  volatile unsigned char frame[kFrame];
  frame[0] = (unsigned char)depth;
  frame[kFrame - 1] = (unsigned char)(depth + 1);
  unsigned deepest = depth;
  if (top - (uintptr_t)frame < kUsable) {
    deepest = recurse(top, depth + 1);
  } else {
    CHECK_OK(sem_post(&g_sem));
    sleep_ms(1);
    CHECK_OK(sem_wait(&g_sem));
  }
  CHECK_EQ(frame[0], (unsigned char)depth);
  CHECK_EQ(frame[kFrame - 1], (unsigned char)(depth + 1));
  return deepest;
}

static void* run(void* arg) {
  char top;
  return (void*)(uintptr_t)recurse((uintptr_t)&top, (unsigned)(uintptr_t)arg);
}

int main(void) {
  CHECK_OK(sem_init(&g_sem, 0, 0));
  for (int round = 0; round < 2; ++round) {
    pthread_t threads[2];
    for (int i = 0; i < 2; ++i) threads[i] = start_thread_with_stack(kSize, run, NULL);
    for (int i = 0; i < 2; ++i) CHECK((uintptr_t)join_thread(threads[i]) > kUsable / (kFrame + 512));
  }
  return 0;
}
