// pthread_attr_setstacksize(3): threads with PTHREAD_STACK_MIN and with 64 KiB run and can block; 64 KiB leave at least
// 40 KiB for the program.
#include "../check.h"

#include <limits.h>
#include <sched.h>
#include <semaphore.h>

enum { kThreads = 100 };

static sem_t g_gate;

static void* run_minimal(void* arg) {
  volatile char local[1024];
  memset((void*)local, 0x11, sizeof local);
  CHECK_OK(sem_wait(&g_gate));
  sched_yield();
  CHECK_EQ(local[17], 0x11);
  return arg;
}

static void* run_40k(void* arg) {
  volatile char local[40 * 1024];
  for (size_t i = sizeof local; i-- > 0;) local[i] = (char)i;
  CHECK_OK(sem_wait(&g_gate));
  sleep_ms(1);
  for (size_t i = 0; i < sizeof local; ++i) CHECK_EQ(local[i], (char)i);
  return arg;
}

int main(void) {
  CHECK_OK(sem_init(&g_gate, 0, 0));
  pthread_t minimal[kThreads];
  pthread_t small[kThreads];
  for (long i = 0; i < kThreads; ++i) {
    minimal[i] = start_thread_with_stack((size_t)PTHREAD_STACK_MIN, run_minimal, (void*)i);
    small[i] = start_thread_with_stack(64 * 1024, run_40k, (void*)i);
  }
  for (int i = 0; i < 2 * kThreads; ++i) CHECK_OK(sem_post(&g_gate));
  for (long i = 0; i < kThreads; ++i) {
    CHECK_EQ((long)join_thread(minimal[i]), i);
    CHECK_EQ((long)join_thread(small[i]), i);
  }
  return 0;
}
