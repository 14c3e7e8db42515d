// The main thread and a worker hand a turn to each other 1,000 times through each primitive: semaphore, mutex and cond,
// rwlock, barrier, spin lock, pipe, and create/join. The main thread is as good a waiter as any.
#include "../check.h"

#include <sched.h>
#include <semaphore.h>

enum { kRounds = 1000 };

static sem_t g_sems[2];
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t g_rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t g_barrier;
static pthread_spinlock_t g_spin;
static int g_pipes[2][2];
static int g_turn;
static long g_count;

static void by_sem(int me) {
  CHECK_OK(sem_wait(&g_sems[me]));
  ++g_count;
  CHECK_OK(sem_post(&g_sems[!me]));
}

static void by_cond(int me) {
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  while (g_turn != me) CHECK_RC(pthread_cond_wait(&g_cond, &g_mutex), 0);
  g_turn = !me;
  ++g_count;
  CHECK_RC(pthread_cond_signal(&g_cond), 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
}

static void by_rwlock(int me) {
  for (;;) {
    CHECK_RC(pthread_rwlock_rdlock(&g_rwlock), 0);
    int mine = g_turn == me;
    CHECK_RC(pthread_rwlock_unlock(&g_rwlock), 0);
    if (mine) break;
    sched_yield();
  }
  CHECK_RC(pthread_rwlock_wrlock(&g_rwlock), 0);
  g_turn = !me;
  ++g_count;
  CHECK_RC(pthread_rwlock_unlock(&g_rwlock), 0);
}

static void by_barrier(int me) {
  int rc = pthread_barrier_wait(&g_barrier);
  CHECK(rc == 0 || rc == PTHREAD_BARRIER_SERIAL_THREAD);
  if (me == 0) ++g_count;
  rc = pthread_barrier_wait(&g_barrier);
  CHECK(rc == 0 || rc == PTHREAD_BARRIER_SERIAL_THREAD);
  if (me == 1) ++g_count;
}

static void by_spin(int me) {
  for (;;) {
    CHECK_RC(pthread_spin_lock(&g_spin), 0);
    int mine = g_turn == me;
    if (mine) {
      g_turn = !me;
      ++g_count;
    }
    CHECK_RC(pthread_spin_unlock(&g_spin), 0);
    if (mine) return;
    sched_yield();
  }
}

static void by_pipe(int me) {
  char byte;
  CHECK_EQ(read(g_pipes[me][0], &byte, 1), 1);
  ++g_count;
  CHECK_EQ(write(g_pipes[!me][1], &byte, 1), 1);
}

static void (*g_step)(int);

static void* run(void* arg) {
  int me = arg != NULL;
  for (int i = 0; i < kRounds; ++i) g_step(me);
  return NULL;
}

static void* add_one(void* arg) { return (void*)((long)arg + 1); }

int main(void) {
  static void (*const kSteps[])(int) = {by_sem, by_cond, by_rwlock, by_barrier, by_spin, by_pipe};
  CHECK_OK(sem_init(&g_sems[0], 0, 1));
  CHECK_OK(sem_init(&g_sems[1], 0, 0));
  CHECK_RC(pthread_barrier_init(&g_barrier, NULL, 2), 0);
  CHECK_RC(pthread_spin_init(&g_spin, PTHREAD_PROCESS_PRIVATE), 0);
  CHECK_OK(pipe(g_pipes[0]));
  CHECK_OK(pipe(g_pipes[1]));
  CHECK_EQ(write(g_pipes[0][1], "x", 1), 1);
  for (size_t i = 0; i < sizeof kSteps / sizeof kSteps[0]; ++i) {
    g_step = kSteps[i];
    g_count = 0;
    pthread_t worker = start_thread(run, &g_count);
    run(NULL);
    join_thread(worker);
    CHECK_EQ(g_count, 2 * kRounds);
  }
  for (long i = 0; i < kRounds; ++i) CHECK_EQ((long)join_thread(start_thread(add_one, (void*)i)), i + 1);
  return 0;
}
