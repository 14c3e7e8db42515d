// fork(2) from a worker while 20 other threads are blocked: the child has one thread, a copy of the caller with its
// __thread values, errno, pthread_self, name and TSD; it can create threads, wait and join, fork again; its status
// arrives.
#include "../check.h"
#include "count_threads.h"

#include <semaphore.h>
#include <stdatomic.h>

enum { kBlocked = 20, kRounds = 5 };

static sem_t g_gate;
static sem_t g_sem;
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;
static int g_turns;
static pthread_key_t g_key;
static __thread int t_value = 5;

static void* blocked(void* arg) {
  t_value = -1;
  CHECK_OK(sem_wait(&g_gate));
  return arg;
}

static void* take_turn(void* arg) {
  CHECK_EQ(t_value, 5);
  CHECK(pthread_getspecific(g_key) == NULL);
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  ++g_turns;
  CHECK_RC(pthread_cond_signal(&g_cond), 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  sleep_ms(1);
  CHECK_OK(sem_post(&g_sem));
  return arg;
}

static void use_threads(void) {
  pthread_t threads[10];
  g_turns = 0;
  CHECK_OK(sem_init(&g_sem, 0, 0));
  for (long i = 0; i < 10; ++i) threads[i] = start_thread(take_turn, (void*)i);
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  while (g_turns < 10) CHECK_RC(pthread_cond_wait(&g_cond, &g_mutex), 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  for (int i = 0; i < 10; ++i) CHECK_OK(sem_wait(&g_sem));
  for (long i = 0; i < 10; ++i) CHECK_EQ((long)join_thread(threads[i]), i);
}

static void* fork_and_check(void* arg) {
  int me = (int)(long)arg;
  char name[16];
  t_value = 1000 + me;
  CHECK_RC(pthread_setspecific(g_key, &t_value), 0);
  CHECK_RC(pthread_setname_np(pthread_self(), "forker"), 0);
  pthread_t self = pthread_self();
  int* error = &errno;
  for (int round = 0; round < kRounds; ++round) {
    sleep_ms(1);
    errno = 77;
    pid_t pid = fork();
    if (pid == 0) {
      CHECK_EQ(errno, 77);
      CHECK(error == &errno);
      CHECK_EQ(count_threads(), 1);
      CHECK_EQ(t_value, 1000 + me);
      CHECK(pthread_getspecific(g_key) == &t_value);
      CHECK(pthread_equal(pthread_self(), self));
      CHECK_EQ(gettid(), getpid());
      CHECK_RC(pthread_getname_np(pthread_self(), name, sizeof name), 0);
      CHECK_STR(name, "forker");
      use_threads();
      CHECK_EQ(t_value, 1000 + me);
      // A grandchild, from a process that has had threads again.
      pid_t grandchild = fork();
      CHECK_OK(grandchild);
      if (grandchild == 0) {
        use_threads();
        _exit(t_value == 1000 + me ? 9 : 1);
      }
      CHECK_CHILD_EXITS(grandchild, 9);
      _exit(40 + round);
    }
    CHECK_OK(pid);
    CHECK(pid != getpid());
    CHECK_CHILD_EXITS(pid, 40 + round);
    CHECK_EQ(t_value, 1000 + me);
    CHECK(error == &errno);
  }
  return NULL;
}

int main(void) {
  CHECK_OK(sem_init(&g_gate, 0, 0));
  CHECK_RC(pthread_key_create(&g_key, NULL), 0);
  pthread_t threads[kBlocked];
  for (int i = 0; i < kBlocked; ++i) threads[i] = start_thread(blocked, NULL);
  join_thread(start_thread(fork_and_check, (void*)1));
  // And two at a time.
  pthread_t first = start_thread(fork_and_check, (void*)2);
  pthread_t second = start_thread(fork_and_check, (void*)3);
  join_thread(first);
  join_thread(second);
  for (int i = 0; i < kBlocked; ++i) CHECK_OK(sem_post(&g_gate));
  for (int i = 0; i < kBlocked; ++i) join_thread(threads[i]);
  use_threads();
  return 0;
}
