// The memory of stacks that were deep once goes back to the system when the threads have ended: within some seconds, also while others are
// alive. (glibc keeps 40 MiB of stacks.) And new threads that use the same stacks find them as deep.
#include "../memory.h"

#include <semaphore.h>

enum { kThreads = 400, kDeep = 400 << 10, kStack = 1 << 20 };

static sem_t g_arrived, g_gate, g_last;

static void* deep(void* arg) {
  volatile char use[kDeep];
  for (int i = 0; i < kDeep; i += 1024) use[i] = 1;
  CHECK_OK(sem_post(&g_arrived));
  CHECK_OK(sem_wait(&g_gate));
  for (int i = 0; i < kDeep; i += 1024) CHECK_EQ(use[i], 1);
  return arg;
}

static void* stays(void* arg) {
  CHECK_OK(sem_wait(&g_last));
  return arg;
}

int main(void) {
  static pthread_t threads[kThreads];
  CHECK_OK(sem_init(&g_arrived, 0, 0));
  CHECK_OK(sem_init(&g_gate, 0, 0));
  CHECK_OK(sem_init(&g_last, 0, 0));
  pthread_t last = start_thread_with_stack(kStack, stays, NULL);
  const long all = (long)kThreads * (kDeep >> 10);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < kThreads; ++i) threads[i] = start_thread_with_stack(kStack, deep, NULL);
    for (int i = 0; i < kThreads; ++i) CHECK_OK(sem_wait(&g_arrived));
    CHECK(resident_kib() > all);
    for (int i = 0; i < kThreads; ++i) CHECK_OK(sem_post(&g_gate));
    for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
    for (int tenths = 0; resident_kib() > all / 2; ++tenths) {
      CHECK(tenths < 300);
      usleep(100000);
    }
  }
  CHECK_OK(sem_post(&g_last));
  join_thread(last);
  return 0;
}
