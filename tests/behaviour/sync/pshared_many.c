// Many threads of one process wait on a process-shared object; who lets them go must run, however many they are.
#include "../check.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { kThreads = 1200 };

static struct shared {
  pthread_mutex_t mutex;
  pthread_cond_t cond;
  sem_t sem;
  pthread_barrier_t barrier;
  pthread_rwlock_t rwlock;
  int go;
  atomic_int came;
}* g;

static void* in_cond(void* arg) {
  CHECK_RC(pthread_mutex_lock(&g->mutex), 0);
  atomic_fetch_add(&g->came, 1);
  while (!g->go) CHECK_RC(pthread_cond_wait(&g->cond, &g->mutex), 0);
  CHECK_RC(pthread_mutex_unlock(&g->mutex), 0);
  return arg;
}
static void go_cond(void) {
  CHECK_RC(pthread_mutex_lock(&g->mutex), 0);
  g->go = 1;
  CHECK_RC(pthread_cond_broadcast(&g->cond), 0);
  CHECK_RC(pthread_mutex_unlock(&g->mutex), 0);
}
static void* in_sem(void* arg) {
  atomic_fetch_add(&g->came, 1);
  CHECK_OK(sem_wait(&g->sem));
  return arg;
}
static void go_sem(void) {
  for (int i = 0; i < kThreads; ++i) CHECK_OK(sem_post(&g->sem));
}
static void* in_mutex(void* arg) {
  atomic_fetch_add(&g->came, 1);
  CHECK_RC(pthread_mutex_lock(&g->mutex), 0);
  CHECK_RC(pthread_mutex_unlock(&g->mutex), 0);
  return arg;
}
static void go_mutex(void) { CHECK_RC(pthread_mutex_unlock(&g->mutex), 0); }
static void* in_barrier(void* arg) {
  atomic_fetch_add(&g->came, 1);
  int r = pthread_barrier_wait(&g->barrier);
  CHECK(r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD);
  return arg;
}
static void go_barrier(void) { in_barrier(NULL); }
static void* in_rwlock(void* arg) {
  atomic_fetch_add(&g->came, 1);
  CHECK_RC(pthread_rwlock_rdlock(&g->rwlock), 0);
  CHECK_RC(pthread_rwlock_unlock(&g->rwlock), 0);
  return arg;
}
static void go_rwlock(void) { CHECK_RC(pthread_rwlock_unlock(&g->rwlock), 0); }

static void all(void* (*in)(void*), void (*go)(void)) {
  static pthread_t threads[kThreads];
  atomic_store(&g->came, 0);
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread_with_stack(64 << 10, in, NULL);
  while (atomic_load(&g->came) < kThreads) usleep(2000);
  usleep(20000);  // most of them wait by now; none need
  go();
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
}

int main(void) {
  g = mmap(NULL, sizeof *g, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(g != MAP_FAILED);
  pthread_mutexattr_t m;
  pthread_condattr_t c;
  pthread_barrierattr_t b;
  pthread_rwlockattr_t l;
  CHECK_RC(pthread_mutexattr_init(&m), 0);
  CHECK_RC(pthread_condattr_init(&c), 0);
  CHECK_RC(pthread_barrierattr_init(&b), 0);
  CHECK_RC(pthread_rwlockattr_init(&l), 0);
  CHECK_RC(pthread_mutexattr_setpshared(&m, PTHREAD_PROCESS_SHARED), 0);
  CHECK_RC(pthread_condattr_setpshared(&c, PTHREAD_PROCESS_SHARED), 0);
  CHECK_RC(pthread_barrierattr_setpshared(&b, PTHREAD_PROCESS_SHARED), 0);
  CHECK_RC(pthread_rwlockattr_setpshared(&l, PTHREAD_PROCESS_SHARED), 0);
  CHECK_RC(pthread_mutex_init(&g->mutex, &m), 0);
  CHECK_RC(pthread_cond_init(&g->cond, &c), 0);
  CHECK_RC(pthread_barrier_init(&g->barrier, &b, kThreads + 1), 0);
  CHECK_RC(pthread_rwlock_init(&g->rwlock, &l), 0);
  CHECK_OK(sem_init(&g->sem, 1, 0));
  all(in_cond, go_cond);
  all(in_sem, go_sem);
  CHECK_RC(pthread_mutex_lock(&g->mutex), 0);
  all(in_mutex, go_mutex);
  all(in_barrier, go_barrier);
  CHECK_RC(pthread_rwlock_wrlock(&g->rwlock), 0);
  all(in_rwlock, go_rwlock);
  return 0;
}
