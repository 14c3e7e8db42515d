// pthread_spin_lock(3), trylock, unlock: exclusion and progress with many more threads than CPUs, also when the holder
// is taken off its CPU (it yields or sleeps with the lock held).
#include "../check.h"

#include <sched.h>

enum { kThreads = 8, kRounds = 3000 };

static pthread_spinlock_t g_lock;
static volatile long g_counter;
static volatile int g_inside;

static void* run(void* arg) {
  for (int i = 0; i < kRounds; ++i) {
    if (i % 16 == 3) {
      int rc;
      while ((rc = pthread_spin_trylock(&g_lock)) == EBUSY) sched_yield();
      CHECK_RC(rc, 0);
    } else {
      CHECK_RC(pthread_spin_lock(&g_lock), 0);
    }
    CHECK_EQ(g_inside, 0);
    g_inside = 1;
    g_counter = g_counter + 1;
    if (i % 1000 == 999) sched_yield();
    if (i == kRounds / 2) usleep(1);
    CHECK_EQ(g_inside, 1);
    g_inside = 0;
    CHECK_RC(pthread_spin_unlock(&g_lock), 0);
  }
  return arg;
}

static void* try_it(void* arg) {
  (void)arg;
  return (void*)(long)pthread_spin_trylock(&g_lock);
}

int main(void) {
  CHECK_RC(pthread_spin_init(&g_lock, PTHREAD_PROCESS_PRIVATE), 0);
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(run, NULL);
  run(NULL);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_EQ(g_counter, (kThreads + 1) * kRounds);
  CHECK_RC(pthread_spin_lock(&g_lock), 0);
  CHECK_RC(pthread_spin_trylock(&g_lock), EBUSY);
  CHECK_EQ((long)join_thread(start_thread(try_it, NULL)), EBUSY);
  CHECK_RC(pthread_spin_unlock(&g_lock), 0);
  CHECK_EQ((long)join_thread(start_thread(try_it, NULL)), 0);
  CHECK_RC(pthread_spin_unlock(&g_lock), 0);
  CHECK_RC(pthread_spin_destroy(&g_lock), 0);
  return 0;
}
