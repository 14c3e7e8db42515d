// pthread_mutexattr_setpshared(3), pthread_condattr_setpshared, sem_init(3) with pshared, and rwlock and barrier
// likewise: objects in MAP_SHARED memory synchronize threads of two processes, main threads and workers.
#include "../check.h"

#include <semaphore.h>
#include <sys/mman.h>

enum { kRounds = 500, kWorkers = 3 };

typedef struct {
  pthread_mutex_t mutex;
  pthread_cond_t cond;
  sem_t sems[2];
  pthread_rwlock_t rwlock;
  pthread_barrier_t barrier;
  long counter;
  long written;
  int turn;
} Shared;

static Shared* g_shared;
static int g_side;

static void ping_pong(int side) {
  for (int i = 0; i < kRounds; ++i) {
    CHECK_RC(pthread_mutex_lock(&g_shared->mutex), 0);
    while (g_shared->turn != side) CHECK_RC(pthread_cond_wait(&g_shared->cond, &g_shared->mutex), 0);
    g_shared->turn = !side;
    CHECK_RC(pthread_cond_broadcast(&g_shared->cond), 0);
    CHECK_RC(pthread_mutex_unlock(&g_shared->mutex), 0);
  }
  for (int i = 0; i < kRounds; ++i) {
    CHECK_OK(sem_wait(&g_shared->sems[side]));
    CHECK_OK(sem_post(&g_shared->sems[!side]));
  }
}

static void* ping_pong_in_worker(void* arg) {
  ping_pong(g_side);
  return arg;
}

static void* count(void* arg) {
  for (int i = 0; i < kRounds; ++i) {
    CHECK_RC(pthread_mutex_lock(&g_shared->mutex), 0);
    ++g_shared->counter;
    CHECK_RC(pthread_mutex_unlock(&g_shared->mutex), 0);
    CHECK_RC(pthread_rwlock_wrlock(&g_shared->rwlock), 0);
    ++g_shared->written;
    CHECK_RC(pthread_rwlock_unlock(&g_shared->rwlock), 0);
    CHECK_RC(pthread_rwlock_rdlock(&g_shared->rwlock), 0);
    CHECK(g_shared->written > 0);
    CHECK_RC(pthread_rwlock_unlock(&g_shared->rwlock), 0);
  }
  return arg;
}

static void meet(void) {
  int rc = pthread_barrier_wait(&g_shared->barrier);
  CHECK(rc == 0 || rc == PTHREAD_BARRIER_SERIAL_THREAD);
}

static void run_side(int side) {
  g_side = side;
  ping_pong(side);
  meet();
  join_thread(start_thread(ping_pong_in_worker, NULL));
  meet();
  pthread_t workers[kWorkers];
  for (int i = 0; i < kWorkers; ++i) workers[i] = start_thread(count, NULL);
  for (int i = 0; i < kWorkers; ++i) join_thread(workers[i]);
  meet();
  CHECK_EQ(g_shared->counter, 2 * kWorkers * kRounds);
  CHECK_EQ(g_shared->written, 2 * kWorkers * kRounds);
}

static void child(void) { run_side(1); }

int main(void) {
  g_shared = mmap(NULL, sizeof *g_shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(g_shared != MAP_FAILED);
  pthread_mutexattr_t mutex;
  pthread_condattr_t cond;
  pthread_rwlockattr_t rwlock;
  pthread_barrierattr_t barrier;
  CHECK_RC(pthread_mutexattr_init(&mutex), 0);
  CHECK_RC(pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED), 0);
  CHECK_RC(pthread_mutex_init(&g_shared->mutex, &mutex), 0);
  CHECK_RC(pthread_condattr_init(&cond), 0);
  CHECK_RC(pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED), 0);
  CHECK_RC(pthread_cond_init(&g_shared->cond, &cond), 0);
  CHECK_RC(pthread_rwlockattr_init(&rwlock), 0);
  CHECK_RC(pthread_rwlockattr_setpshared(&rwlock, PTHREAD_PROCESS_SHARED), 0);
  CHECK_RC(pthread_rwlock_init(&g_shared->rwlock, &rwlock), 0);
  CHECK_RC(pthread_barrierattr_init(&barrier), 0);
  CHECK_RC(pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED), 0);
  CHECK_RC(pthread_barrier_init(&g_shared->barrier, &barrier, 2), 0);
  CHECK_OK(sem_init(&g_shared->sems[0], 1, 1));
  CHECK_OK(sem_init(&g_shared->sems[1], 1, 0));
  pid_t pid = fork_child(child);
  run_side(0);
  CHECK_CHILD_EXITS(pid, 0);
  return 0;
}
