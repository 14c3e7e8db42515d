// pthread_mutexattr_setrobust(3), of each type, private and shared, plain and priority-inheriting: who takes over from a thread that has ended
// learns of it (EOWNERDEAD), by lock, trylock and timedlock, also while it waits; pthread_mutex_consistent(3), or never again
// (ENOTRECOVERABLE); EPERM and EDEADLK; and a process that is killed, whose main thread and worker hold one each.
#include "../check.h"

#include <signal.h>
#include <sys/mman.h>

typedef struct {
  pthread_mutex_t mutex, second;
  int ready;
} Shared;
static Shared* g;

static void init(pthread_mutex_t* m, int type, int shared, int protocol) {
  pthread_mutexattr_t attr;
  CHECK_RC(pthread_mutexattr_init(&attr), 0);
  CHECK_RC(pthread_mutexattr_settype(&attr, type), 0);
  CHECK_RC(pthread_mutexattr_setpshared(&attr, shared), 0);
  CHECK_RC(pthread_mutexattr_setprotocol(&attr, protocol), 0);
  CHECK_RC(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST), 0);
  CHECK_RC(pthread_mutex_init(m, &attr), 0);
  CHECK_RC(pthread_mutexattr_destroy(&attr), 0);
}

static void* die_holding(void* arg) {
  CHECK_RC(pthread_mutex_lock(&g->mutex), 0);
  __atomic_store_n(&g->ready, 1, __ATOMIC_SEQ_CST);
  if (arg) sleep_ms(5);
  return NULL;
}

static void* wait_for_death(void* arg) {
  while (!__atomic_load_n(&g->ready, __ATOMIC_SEQ_CST)) sched_yield();
  CHECK_RC(pthread_mutex_lock(&g->mutex), EOWNERDEAD);
  CHECK_RC(pthread_mutex_consistent(&g->mutex), 0);
  CHECK_RC(pthread_mutex_unlock(&g->mutex), 0);
  return arg;
}

static void* use_others(void* arg) {
  CHECK_RC(pthread_mutex_unlock(&g->mutex), EPERM);
  CHECK_RC(pthread_mutex_trylock(&g->mutex), EBUSY);
  struct timespec soon = deadline_after_ms(CLOCK_REALTIME, 2);
  CHECK_RC(pthread_mutex_timedlock(&g->mutex, &soon), ETIMEDOUT);
  return arg;
}

static void* check_one(void* arg) {
  int type = *(int*)arg;
  // Without anybody's death it is a mutex.
  CHECK_RC(pthread_mutex_lock(&g->mutex), 0);
  CHECK_RC(pthread_mutex_consistent(&g->mutex), EINVAL);
  join_thread(start_thread(use_others, NULL));
  if (type == PTHREAD_MUTEX_RECURSIVE) {
    CHECK_RC(pthread_mutex_lock(&g->mutex), 0);
    CHECK_RC(pthread_mutex_trylock(&g->mutex), 0);
    CHECK_RC(pthread_mutex_unlock(&g->mutex), 0);
    CHECK_RC(pthread_mutex_unlock(&g->mutex), 0);
  } else if (type == PTHREAD_MUTEX_ERRORCHECK) {
    CHECK_RC(pthread_mutex_lock(&g->mutex), EDEADLK);
  }
  CHECK_RC(pthread_mutex_unlock(&g->mutex), 0);
  // The owner has ended.
  join_thread(start_thread(die_holding, NULL));
  CHECK_RC(pthread_mutex_lock(&g->mutex), EOWNERDEAD);
  CHECK_RC(pthread_mutex_consistent(&g->mutex), 0);
  CHECK_RC(pthread_mutex_unlock(&g->mutex), 0);
  join_thread(start_thread(die_holding, NULL));
  CHECK_RC(pthread_mutex_trylock(&g->mutex), EOWNERDEAD);
  CHECK_RC(pthread_mutex_consistent(&g->mutex), 0);
  CHECK_RC(pthread_mutex_unlock(&g->mutex), 0);
  // It ends while others wait.
  g->ready = 0;
  pthread_t owner = start_thread(die_holding, g), heir = start_thread(wait_for_death, NULL);
  join_thread(owner);
  join_thread(heir);
  // Left inconsistent.
  join_thread(start_thread(die_holding, NULL));
  struct timespec late = deadline_after_ms(CLOCK_REALTIME, 60000);
  CHECK_RC(pthread_mutex_timedlock(&g->mutex, &late), EOWNERDEAD);
  CHECK_RC(pthread_mutex_unlock(&g->mutex), 0);
  CHECK_RC(pthread_mutex_lock(&g->mutex), ENOTRECOVERABLE);
  CHECK_RC(pthread_mutex_trylock(&g->mutex), ENOTRECOVERABLE);
  CHECK_RC(pthread_mutex_destroy(&g->mutex), 0);
  return NULL;
}

static void* hold_second(void* arg) {
  CHECK_RC(pthread_mutex_lock(&g->second), 0);
  __atomic_store_n(&g->ready, 1, __ATOMIC_SEQ_CST);
  for (;;) pause();
  return arg;
}

static void check_killed_process(int protocol) {
  init(&g->mutex, PTHREAD_MUTEX_NORMAL, PTHREAD_PROCESS_SHARED, protocol);
  init(&g->second, PTHREAD_MUTEX_NORMAL, PTHREAD_PROCESS_SHARED, protocol);
  g->ready = 0;
  pid_t child = fork();
  if (child == 0) {
    start_thread(hold_second, NULL);
    while (!__atomic_load_n(&g->ready, __ATOMIC_SEQ_CST)) sched_yield();
    CHECK_RC(pthread_mutex_lock(&g->mutex), 0);
    __atomic_store_n(&g->ready, 2, __ATOMIC_SEQ_CST);
    for (;;) pause();
  }
  while (__atomic_load_n(&g->ready, __ATOMIC_SEQ_CST) != 2) sched_yield();
  CHECK_RC(pthread_mutex_trylock(&g->mutex), EBUSY);
  CHECK_OK(kill(child, SIGKILL));
  pthread_mutex_t* both[2] = {&g->mutex, &g->second};
  for (int i = 0; i < 2; ++i) {
    CHECK_RC(pthread_mutex_lock(both[i]), EOWNERDEAD);
    CHECK_RC(pthread_mutex_consistent(both[i]), 0);
    CHECK_RC(pthread_mutex_unlock(both[i]), 0);
    CHECK_RC(pthread_mutex_destroy(both[i]), 0);
  }
  wait_status(child);
}

static long counter, deaths;
static void* count_or_die(void* arg) {
  for (int i = 0; i < 20; ++i) {
    int rc = pthread_mutex_lock(&g->mutex);
    CHECK(rc == 0 || rc == EOWNERDEAD);
    if (rc) {
      ++deaths;
      CHECK_RC(pthread_mutex_consistent(&g->mutex), 0);
    }
    ++counter;
    if (i == 19 && (long)arg % 4 == 0) return NULL;  // holding it
    CHECK_RC(pthread_mutex_unlock(&g->mutex), 0);
  }
  return NULL;
}
static void check_many(void) {
  enum { kThreads = 40 };
  pthread_t threads[kThreads];
  init(&g->mutex, PTHREAD_MUTEX_NORMAL, PTHREAD_PROCESS_PRIVATE, PTHREAD_PRIO_NONE);
  for (long i = 0; i < kThreads; ++i) threads[i] = start_thread(count_or_die, (void*)i);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  int rc = pthread_mutex_lock(&g->mutex);
  if (rc == EOWNERDEAD) ++deaths;
  CHECK_EQ(deaths, kThreads / 4);
  CHECK_EQ(counter, 20 * kThreads);
}

int main(void) {
  g = mmap(NULL, sizeof *g, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(g != MAP_FAILED);
  int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK};
  for (int protocol = PTHREAD_PRIO_NONE; protocol <= PTHREAD_PRIO_INHERIT; ++protocol)
    for (int shared = PTHREAD_PROCESS_PRIVATE; shared <= PTHREAD_PROCESS_SHARED; ++shared)
      for (int i = 0; i < 3; ++i) {
        init(&g->mutex, types[i], shared, protocol);
        check_one(&types[i]);
        init(&g->mutex, types[i], shared, protocol);
        join_thread(start_thread(check_one, &types[i]));
      }
  check_killed_process(PTHREAD_PRIO_NONE);
  check_killed_process(PTHREAD_PRIO_INHERIT);
  check_many();
  return 0;
}
