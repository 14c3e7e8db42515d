// pthread_create(3): 2,000 threads with 64 KiB stacks alive at once, all blocked on one semaphore, each with its own
// locals; then all woken and joined; twice.
#include "../check.h"

#include <semaphore.h>
#include <stdatomic.h>

enum { kThreads = 2000 };

static sem_t g_arrived;
static sem_t g_gate;
static atomic_int g_alive;

static void* run(void* arg) {
  volatile long local = (long)arg * 3;
  atomic_fetch_add(&g_alive, 1);
  CHECK_OK(sem_post(&g_arrived));
  CHECK_OK(sem_wait(&g_gate));
  CHECK_EQ(local, (long)arg * 3);
  atomic_fetch_sub(&g_alive, 1);
  return arg;
}

int main(void) {
  CHECK_OK(sem_init(&g_arrived, 0, 0));
  CHECK_OK(sem_init(&g_gate, 0, 0));
  static pthread_t threads[kThreads];
  for (int round = 0; round < 2; ++round) {
    for (long i = 0; i < kThreads; ++i) threads[i] = start_thread_with_stack(64 * 1024, run, (void*)i);
    for (int i = 0; i < kThreads; ++i) CHECK_OK(sem_wait(&g_arrived));
    CHECK_EQ(atomic_load(&g_alive), kThreads);
    for (int i = 0; i < kThreads; ++i) CHECK_OK(sem_post(&g_gate));
    for (long i = 0; i < kThreads; ++i) CHECK_EQ((long)join_thread(threads[i]), i);
    CHECK_EQ(atomic_load(&g_alive), 0);
  }
  return 0;
}
