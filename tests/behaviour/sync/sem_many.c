// sem_wait(3), sem_post(3): 16 threads take and give units of a counting semaphore: never more holders than units, none
// lost, also with timed waits that run out meanwhile.
#include "../check.h"

#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>

enum { kThreads = 16, kUnits = 3, kRounds = 1500 };

static sem_t g_sem;
static atomic_int g_holders;

static void* run(void* arg) {
  unsigned state = (unsigned)(long)arg + 1;
  long taken = 0;
  for (int i = 0; i < kRounds; ++i) {
    state = state * 1664525u + 1013904223u;
    int rc = 0;
    if (i % 4 == 0) {
      struct timespec deadline = deadline_after_ms(CLOCK_REALTIME, 0);
      deadline.tv_nsec += (long)(state >> 16) % 100000;
      if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_nsec -= 1000000000;
        ++deadline.tv_sec;
      }
      rc = sem_timedwait(&g_sem, &deadline);
      if (rc != 0) CHECK_EQ(errno, ETIMEDOUT);
    } else if (i % 4 == 1) {
      rc = sem_trywait(&g_sem);
      if (rc != 0) CHECK_EQ(errno, EAGAIN);
    } else {
      CHECK_OK(sem_wait(&g_sem));
    }
    if (rc != 0) continue;
    ++taken;
    CHECK(atomic_fetch_add(&g_holders, 1) < kUnits);
    if (state >> 28 == 0) sched_yield();
    atomic_fetch_sub(&g_holders, 1);
    CHECK_OK(sem_post(&g_sem));
  }
  return (void*)taken;
}

int main(void) {
  CHECK_OK(sem_init(&g_sem, 0, kUnits));
  pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; ++i) threads[i] = start_thread(run, (void*)i);
  for (int i = 0; i < kThreads; ++i) CHECK((long)join_thread(threads[i]) >= kRounds / 2);
  int value = -1;
  CHECK_OK(sem_getvalue(&g_sem, &value));
  CHECK_EQ(value, kUnits);
  return 0;
}
