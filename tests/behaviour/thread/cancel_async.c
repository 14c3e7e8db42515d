// pthread_setcanceltype(3), asynchronous: whoever waits where there is no cancellation point (mutexes, rwlocks, libc's own robust, inheriting and shared
// ones) or computes is ended there, at once; so uWSGI ends the threads that wait for its lock. Its cleanup handlers run; a cond's mutex is held
// in them; what others wait for behind it they get; a robust mutex that it held, or was just given, has EOWNERDEAD. While it's disabled it waits.
#include "../check.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum what { kMutex, kTimedMutex, kReader, kWriter, kShared, kInherits, kRobust, kComputes, kSem, kCond, kRead, kWhats };

static pthread_mutex_t g_mutex[kWhats], g_cond_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t g_lock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;
static sem_t g_sem;
static int g_pipe[2];
static atomic_int g_there, g_cleaned;
static volatile unsigned g_count;

static void init(pthread_mutex_t* m, int shared, int protocol, int robust) {
  pthread_mutexattr_t attr;
  CHECK_RC(pthread_mutexattr_init(&attr), 0);
  CHECK_RC(pthread_mutexattr_setpshared(&attr, shared), 0);
  CHECK_RC(pthread_mutexattr_setprotocol(&attr, protocol), 0);
  CHECK_RC(pthread_mutexattr_setrobust(&attr, robust), 0);
  CHECK_RC(pthread_mutex_init(m, &attr), 0);
}

static void cleanup(void* arg) {
  enum what what = (enum what)(long)arg;
  if (what == kCond) CHECK_RC(pthread_mutex_unlock(&g_cond_mutex), 0);
  atomic_fetch_add(&g_cleaned, 1);
}

static void wait_for(enum what what) {
  struct timespec late = deadline_after_ms(CLOCK_REALTIME, 3600000);
  char byte;
  atomic_fetch_add(&g_there, 1);
  switch (what) {
    case kTimedMutex: pthread_mutex_timedlock(&g_mutex[what], &late); break;
    case kReader: pthread_rwlock_rdlock(&g_lock); break;
    case kWriter: pthread_rwlock_wrlock(&g_lock); break;
    case kComputes: for (;;) ++g_count;
    case kSem: sem_wait(&g_sem); break;
    case kCond: for (;;) pthread_cond_wait(&g_cond, &g_cond_mutex);
    case kRead: (void)!read(g_pipe[0], &byte, 1); break;
    default: pthread_mutex_lock(&g_mutex[what]); break;
  }
}

static void* waiter(void* arg) {
  enum what what = (enum what)(long)arg;
  if (what == kCond) CHECK_RC(pthread_mutex_lock(&g_cond_mutex), 0);
  pthread_cleanup_push(cleanup, arg);
  CHECK_RC(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL), 0);
  wait_for(what);
  check_fail(__FILE__, __LINE__, errno, "not cancelled at %d", (int)what);
  pthread_cleanup_pop(0);
  return arg;
}

static void end_all(pthread_t* threads, int count) {
  for (int i = 0; i < count; ++i) CHECK_RC(pthread_cancel(threads[i]), 0);
  for (int i = 0; i < count; ++i) CHECK(join_thread(threads[i]) == PTHREAD_CANCELED);
}

/// Several at each, all cancelled while they wait, or on their way there; what is held can be had afterwards.
static void all_kinds(int ms) {
  enum { kEach = 3 };
  pthread_t threads[kWhats * kEach];
  atomic_store(&g_there, 0), atomic_store(&g_cleaned, 0);
  for (int i = 0; i < kWhats; ++i) CHECK_RC(pthread_mutex_lock(&g_mutex[i]), 0);
  g_lock = (pthread_rwlock_t)PTHREAD_RWLOCK_INITIALIZER;  // natively it's of no use once its waiters have been cancelled
  CHECK_RC(pthread_rwlock_wrlock(&g_lock), 0);
  for (int i = 0; i < kWhats * kEach; ++i) threads[i] = start_thread(waiter, (void*)(long)(i % kWhats));
  while (atomic_load(&g_there) != kWhats * kEach) sched_yield();
  if (ms) sleep_ms(ms);
  end_all(threads, kWhats * kEach);
  CHECK_EQ(atomic_load(&g_cleaned), kWhats * kEach);
  for (int i = 0; i < kWhats; ++i) {
    CHECK_RC(pthread_mutex_unlock(&g_mutex[i]), 0);
    CHECK_RC(pthread_mutex_lock(&g_mutex[i]), 0);
    CHECK_RC(pthread_mutex_unlock(&g_mutex[i]), 0);
  }
  CHECK_RC(pthread_mutex_lock(&g_cond_mutex), 0);
  CHECK_RC(pthread_mutex_unlock(&g_cond_mutex), 0);
}

static atomic_int g_go, g_locked;
static void* takes_and_computes(void* arg) {
  CHECK_RC(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL), 0);
  int r = pthread_mutex_lock(arg);
  if (r == EOWNERDEAD) pthread_mutex_consistent(arg);
  atomic_fetch_add(&g_locked, 1);
  for (;;) ++g_count;
}

/// Each waits for one robust mutex, has it and is cancelled with it, some just as they get it: the next has EOWNERDEAD, and nobody waits for ever.
static void robust(int protocol) {
  enum { kThreads = 6 };
  pthread_mutex_t* m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  init(m, PTHREAD_PROCESS_SHARED, protocol, PTHREAD_MUTEX_ROBUST);
  for (int round = 0; round < 10; ++round) {
    pthread_t threads[kThreads];
    atomic_store(&g_locked, 0);
    for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(takes_and_computes, m);
    while (!atomic_load(&g_locked)) sched_yield();
    end_all(threads, kThreads);
    int r = pthread_mutex_lock(m);
    CHECK(r == 0 || r == EOWNERDEAD);
    if (r) CHECK_RC(pthread_mutex_consistent(m), 0);
    CHECK_RC(pthread_mutex_unlock(m), 0);
  }
}

static void* disabled(void* arg) {
  CHECK_RC(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL), 0);
  CHECK_RC(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL), 0);
  atomic_store(&g_go, 1);
  CHECK_RC(pthread_mutex_lock(arg), 0);
  CHECK_RC(pthread_mutex_unlock(arg), 0);
  while (atomic_load(&g_go) == 1) ++g_count;
  CHECK_RC(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL), 0);
  check_fail(__FILE__, __LINE__, 0, "not cancelled when it was enabled");
  return arg;
}
static void while_disabled(void) {
  pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
  CHECK_RC(pthread_mutex_lock(&m), 0);
  pthread_t t = start_thread(disabled, &m);
  while (!atomic_load(&g_go)) sched_yield();
  sleep_ms(2);
  CHECK_RC(pthread_cancel(t), 0);
  sleep_ms(2);
  CHECK_RC(pthread_mutex_unlock(&m), 0);
  sleep_ms(2);
  atomic_store(&g_go, 2);
  CHECK(join_thread(t) == PTHREAD_CANCELED);
}

int main(void) {
  CHECK_OK(pipe(g_pipe));
  CHECK_OK(sem_init(&g_sem, 0, 0));
  for (int i = 0; i < kWhats; ++i) CHECK_RC(pthread_mutex_init(&g_mutex[i], NULL), 0);
  init(&g_mutex[kShared], PTHREAD_PROCESS_SHARED, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED);
  init(&g_mutex[kInherits], PTHREAD_PROCESS_PRIVATE, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED);
  init(&g_mutex[kRobust], PTHREAD_PROCESS_SHARED, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_ROBUST);
  for (int i = 0; i < 5; ++i) all_kinds(i % 2 * 5);
  robust(PTHREAD_PRIO_NONE);
  robust(PTHREAD_PRIO_INHERIT);
  while_disabled();
  return 0;
}
