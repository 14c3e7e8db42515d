// pthread_once(3) and pthread_exit(3): when the thread that runs the routine leaves it by pthread_exit, the control is
// as if never called (glibc's cleanup handler resets it), and one of the waiting threads runs the routine.
#include "../check.h"

#include <semaphore.h>
#include <stdatomic.h>

enum { kThreads = 10, kQuitters = 3 };

static pthread_once_t g_once = PTHREAD_ONCE_INIT;
static atomic_int g_attempts;
static atomic_int g_complete;
static sem_t g_go;

static void init(void) {
  int attempt = atomic_fetch_add(&g_attempts, 1);
  if (attempt == 0) CHECK_OK(sem_wait(&g_go));
  if (attempt < kQuitters) pthread_exit((void*)1);
  sleep_ms(1);
  atomic_fetch_add(&g_complete, 1);
}

static void* run(void* arg) {
  CHECK_RC(pthread_once(&g_once, init), 0);
  CHECK_EQ(atomic_load(&g_complete), 1);
  return arg;
}

int main(void) {
  CHECK_OK(sem_init(&g_go, 0, 0));
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(run, NULL);
  sleep_ms(10);
  CHECK_OK(sem_post(&g_go));
  long quitters = 0;
  for (int i = 0; i < kThreads; ++i) quitters += (long)join_thread(threads[i]);
  CHECK_EQ(quitters, kQuitters);
  CHECK_EQ(atomic_load(&g_attempts), kQuitters + 1);
  CHECK_EQ(atomic_load(&g_complete), 1);
  return 0;
}
