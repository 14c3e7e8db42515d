// pthread_key_create(3): at a thread's end each non-NULL value is set to NULL and then given to its destructor, in
// rounds until nothing is left or PTHREAD_DESTRUCTOR_ITERATIONS rounds have been made; none runs for NULL, none at
// the exit of the process. Destructors may use other keys and block.
#include "../check.h"

#include <limits.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>

static pthread_key_t g_plain;
static pthread_key_t g_stubborn;
static pthread_key_t g_chain[3];
static pthread_key_t g_never;
static pthread_key_t g_silent;
static sem_t g_sem;
static atomic_int g_plain_runs;
static atomic_int g_stubborn_runs;
static atomic_int g_chain_runs;

static void on_plain(void* value) {
  CHECK(pthread_getspecific(g_plain) == NULL);
  CHECK((uintptr_t)value >= 100);
  CHECK_OK(sem_post(&g_sem));
  CHECK_OK(sem_wait(&g_sem));
  sleep_ms(1);
  atomic_fetch_add(&g_plain_runs, 1);
}

static void on_stubborn(void* value) {
  CHECK(pthread_getspecific(g_stubborn) == NULL);
  CHECK_RC(pthread_setspecific(g_stubborn, value), 0);
  atomic_fetch_add(&g_stubborn_runs, 1);
}

// Each sets the next key's value: all are destroyed, in later rounds if need be.
static void on_chain(void* value) {
  uintptr_t index = (uintptr_t)value;
  atomic_fetch_add(&g_chain_runs, 1);
  if (index > 1) CHECK_RC(pthread_setspecific(g_chain[index - 2], (void*)(index - 1)), 0);
}

static void on_never(void* value) {
  (void)value;
  CHECK(!"destructor called for a NULL value");
}

static void* run(void* arg) {
  CHECK(pthread_getspecific(g_plain) == NULL);
  CHECK_RC(pthread_setspecific(g_plain, arg), 0);
  CHECK_RC(pthread_setspecific(g_stubborn, arg), 0);
  CHECK_RC(pthread_setspecific(g_chain[2], (void*)3), 0);
  CHECK_RC(pthread_setspecific(g_never, arg), 0);
  CHECK_RC(pthread_setspecific(g_silent, arg), 0);
  sleep_ms(1);
  CHECK(pthread_getspecific(g_plain) == arg);
  CHECK(pthread_getspecific(g_never) == arg);
  CHECK_RC(pthread_setspecific(g_never, NULL), 0);
  if ((uintptr_t)arg % 2) pthread_exit(NULL);
  return NULL;
}

int main(void) {
  enum { kThreads = 40 };
  CHECK_OK(sem_init(&g_sem, 0, 0));
  CHECK_RC(pthread_key_create(&g_plain, on_plain), 0);
  CHECK_RC(pthread_key_create(&g_stubborn, on_stubborn), 0);
  for (int i = 0; i < 3; ++i) CHECK_RC(pthread_key_create(&g_chain[i], on_chain), 0);
  CHECK_RC(pthread_key_create(&g_never, on_never), 0);
  CHECK_RC(pthread_key_create(&g_silent, NULL), 0);
  pthread_t threads[kThreads];
  for (uintptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(run, (void*)(100 + i));
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_EQ(atomic_load(&g_plain_runs), kThreads);
  CHECK_EQ(atomic_load(&g_stubborn_runs), kThreads * PTHREAD_DESTRUCTOR_ITERATIONS);
  CHECK_EQ(atomic_load(&g_chain_runs), kThreads * 3);
  // The process's exit runs no TSD destructor of the main thread.
  CHECK_RC(pthread_setspecific(g_never, &g_sem), 0);
  return 0;
}
