// fork(2) from the main thread while workers are blocked in a semaphore, a condition, a pipe read, a sleep: the child
// has the main thread only, may exit() normally, create threads; the workers in the parent notice nothing.
#include "../check.h"

#include <semaphore.h>

enum { kRounds = 20 };

static sem_t g_sem;
static sem_t g_started;
static int g_pipe[2];
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;
static int g_flag;
static __thread int t_value = 3;
static volatile int g_stop;

static void* on_sem(void* arg) {
  CHECK_OK(sem_post(&g_started));
  CHECK_OK(sem_wait(&g_sem));
  return arg;
}

static void* on_cond(void* arg) {
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  CHECK_OK(sem_post(&g_started));
  while (!g_flag) CHECK_RC(pthread_cond_wait(&g_cond, &g_mutex), 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  return arg;
}

static void* on_pipe(void* arg) {
  char byte = 0;
  CHECK_OK(sem_post(&g_started));
  CHECK_EQ(read(g_pipe[0], &byte, 1), 1);
  CHECK_EQ(byte, 'p');
  return arg;
}

static void* on_sleep(void* arg) {
  CHECK_OK(sem_post(&g_started));
  while (!g_stop) sleep_ms(1);
  return arg;
}

static void* identity(void* arg) {
  CHECK_EQ(t_value, 3);
  return arg;
}

static void child(void) {
  CHECK_EQ(t_value, 33);
  CHECK_EQ(gettid(), getpid());
  CHECK_EQ((long)join_thread(start_thread(identity, (void*)5)), 5);
  // Objects that others wait on in the parent are usable here: nobody waits on them in this process.
  CHECK_OK(sem_post(&g_sem));
  CHECK_OK(sem_wait(&g_sem));
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  g_flag = 1;
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  exit(12);
}

int main(void) {
  CHECK_OK(sem_init(&g_sem, 0, 0));
  CHECK_OK(sem_init(&g_started, 0, 0));
  CHECK_OK(pipe(g_pipe));
  t_value = 33;
  pthread_t threads[8];
  static void* (*const kBodies[4])(void*) = {on_sem, on_cond, on_pipe, on_sleep};
  for (int i = 0; i < 8; ++i) threads[i] = start_thread(kBodies[i % 4], NULL);
  for (int i = 0; i < 8; ++i) CHECK_OK(sem_wait(&g_started));
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);  // no child finds it locked by a thread that it doesn't have: those wait for the condition
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  for (int i = 0; i < kRounds; ++i) {
    pid_t pid = fork_child(child);
    CHECK_CHILD_EXITS(pid, 12);
  }
  CHECK_EQ(g_flag, 0);
  CHECK_OK(sem_post(&g_sem));
  CHECK_OK(sem_post(&g_sem));
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  g_flag = 1;
  CHECK_RC(pthread_cond_broadcast(&g_cond), 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  CHECK_EQ(write(g_pipe[1], "pp", 2), 2);
  g_stop = 1;
  for (int i = 0; i < 8; ++i) join_thread(threads[i]);
  return 0;
}
