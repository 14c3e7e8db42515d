// pthread_once(3): the routine runs exactly once, and no caller returns before it has completed, also when it blocks;
// a routine may use another once control; later calls don't run it again.
#include "../check.h"

#include <semaphore.h>
#include <stdatomic.h>

enum { kThreads = 50, kControls = 100 };

static pthread_once_t g_once = PTHREAD_ONCE_INIT;
static pthread_once_t g_inner = PTHREAD_ONCE_INIT;
static pthread_once_t g_many[kControls];
static pthread_barrier_t g_start;
static atomic_int g_runs;
static atomic_int g_complete;
static atomic_int g_inner_runs;
static atomic_int g_many_runs;
static sem_t g_sem;
static sem_t g_entered;

static void inner(void) { atomic_fetch_add(&g_inner_runs, 1); }

static void blocking(void) {
  atomic_fetch_add(&g_runs, 1);
  CHECK_OK(sem_post(&g_entered));
  CHECK_OK(sem_wait(&g_sem));  // posted by main when the others have had their chance to come
  sleep_ms(5);
  CHECK_RC(pthread_once(&g_inner, inner), 0);
  atomic_store(&g_complete, 1);
}

static void count(void) { atomic_fetch_add(&g_many_runs, 1); }

static void* run(void* arg) {
  pthread_barrier_wait(&g_start);
  CHECK_RC(pthread_once(&g_once, blocking), 0);
  CHECK_EQ(atomic_load(&g_complete), 1);
  CHECK_EQ(atomic_load(&g_runs), 1);
  for (int i = 0; i < kControls; ++i) CHECK_RC(pthread_once(&g_many[i], count), 0);
  return arg;
}

int main(void) {
  static const pthread_once_t kInit = PTHREAD_ONCE_INIT;
  for (int i = 0; i < kControls; ++i) g_many[i] = kInit;
  CHECK_OK(sem_init(&g_sem, 0, 0));
  CHECK_OK(sem_init(&g_entered, 0, 0));
  CHECK_RC(pthread_barrier_init(&g_start, NULL, kThreads), 0);
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(run, NULL);
  CHECK_OK(sem_wait(&g_entered));
  sleep_ms(20);
  CHECK_EQ(atomic_load(&g_complete), 0);
  CHECK_OK(sem_post(&g_sem));
  CHECK_RC(pthread_once(&g_once, blocking), 0);  // the main thread takes part
  CHECK_EQ(atomic_load(&g_complete), 1);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_EQ(atomic_load(&g_runs), 1);
  CHECK_EQ(atomic_load(&g_inner_runs), 1);
  CHECK_EQ(atomic_load(&g_many_runs), kControls);
  return 0;
}
