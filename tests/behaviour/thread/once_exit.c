// pthread_once(3) and pthread_exit(3): when the thread that runs the routine leaves it by pthread_exit, the control is
// as if never called (glibc's cleanup handler resets it), and one of the waiting threads runs the routine. Likewise where it's cancelled in code that has
// no unwind tables, as C may be compiled: libc then runs the cleanup handlers that it knows, and jumps.
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

// A function without unwind tables: no .cfi directives.
void calls_without_tables(void (*call)(void));
asm(".text\n"
    "calls_without_tables:\n"
    "  sub $8, %rsp\n"
    "  call *%rdi\n"
    "  add $8, %rsp\n"
    "  ret\n");

static pthread_once_t g_plain_once = PTHREAD_ONCE_INIT;
static sem_t g_inside;
static int g_cleaned, g_ran;
static void waits(void) {
  CHECK_OK(sem_post(&g_inside));
  for (;;) pause();
}
static void plain_init(void) { calls_without_tables(waits); }
static void plain_again(void) { ++g_ran; }
static void cleanup(void* arg) { ++*(int*)arg; }
static void* run_plain(void* arg) {
  pthread_cleanup_push(cleanup, arg);
  CHECK_RC(pthread_once(&g_plain_once, plain_init), 0);
  pthread_cleanup_pop(0);
  return arg;
}

static void left_without_tables(void) {
  CHECK_OK(sem_init(&g_inside, 0, 0));
  pthread_t thread = start_thread(run_plain, &g_cleaned);
  CHECK_OK(sem_wait(&g_inside));
  CHECK_RC(pthread_cancel(thread), 0);
  CHECK(join_thread(thread) == PTHREAD_CANCELED);
  CHECK_EQ(g_cleaned, 1);
  CHECK_RC(pthread_once(&g_plain_once, plain_again), 0);
  CHECK_EQ(g_ran, 1);
}

int main(void) {
  left_without_tables();
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
