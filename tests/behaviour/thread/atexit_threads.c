// atexit(3), exit(3): while the handlers run the other threads go on: a handler may lock a mutex that a thread holds,
// wait for a condition that a thread signals, create a thread and join it. main returns with threads alive.
#include "../check.h"

#include <semaphore.h>
#include <stdatomic.h>

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;
static long g_ticks;
static sem_t g_locked;
static sem_t g_never;

static void* tick(void* arg) {
  (void)arg;
  for (;;) {
    CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
    ++g_ticks;
    CHECK_RC(pthread_cond_broadcast(&g_cond), 0);
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
    sleep_ms(1);
  }
}

static void* blocked(void* arg) {
  sem_wait(&g_never);
  return arg;
}

static void* identity(void* arg) { return arg; }

static void at_exit(void) {
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  long start = g_ticks;
  while (g_ticks < start + 5) CHECK_RC(pthread_cond_wait(&g_cond, &g_mutex), 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  CHECK_EQ((long)join_thread(start_thread(identity, (void*)5)), 5);
  _exit(31);
}

static void child(void) {
  CHECK_OK(sem_init(&g_locked, 0, 0));
  CHECK_OK(sem_init(&g_never, 0, 0));
  CHECK_EQ(atexit(at_exit), 0);
  start_thread(tick, NULL);
  for (int i = 0; i < 20; ++i) start_thread(blocked, NULL);
  exit(3);
}

int main(void) {
  for (int i = 0; i < 5; ++i) {
    pid_t pid = fork_child(child);
    CHECK_CHILD_EXITS(pid, 31);
  }
  return 0;
}
