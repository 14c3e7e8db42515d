// A process-shared condition variable with a private mutex: waits that end by a signal, by a broadcast, by a signal from another process, and by their
// time; the mutex is free meanwhile, for many who lock it one after the other, and held afterwards. pthread_cond_wait(3p).
#include "../check.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kThreads = 8, kItems = 400 };

struct Shared {
  pthread_cond_t more, room;
  int done;
};

static struct Shared* g_shared;
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static int g_items, g_taken, g_waiting, g_go;

static void locked(void) {  // by the caller
  CHECK_RC(pthread_mutex_trylock(&g_mutex), EBUSY);
}

static void* produce(void* arg) {
  for (int i = 0; i < kItems; ++i) {
    CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
    while (g_items == 3) {
      CHECK_RC(pthread_cond_wait(&g_shared->room, &g_mutex), 0);
      locked();
    }
    ++g_items;
    CHECK_RC(pthread_cond_signal(&g_shared->more), 0);
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  }
  return arg;
}
static void* consume(void* arg) {
  for (int i = 0; i < kItems; ++i) {
    CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
    while (!g_items) CHECK_RC(pthread_cond_wait(&g_shared->more, &g_mutex), 0);
    --g_items;
    ++g_taken;
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
    CHECK_RC(pthread_cond_signal(&g_shared->room), 0);  // outside of it
  }
  return arg;
}

static void* wait_for_go(void* arg) {
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  ++g_waiting;
  while (!g_go) CHECK_RC(pthread_cond_wait(&g_shared->more, &g_mutex), 0);
  locked();
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  return arg;
}
static void all_wait(int n) {
  for (int waiting = 0; waiting < n;) {
    CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
    waiting = g_waiting;
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
    sched_yield();
  }
}

static void time_out(clockid_t clock) {
  struct timespec t, now;
  CHECK_OK(clock_gettime(clock, &t));
  t.tv_nsec += 30000000;
  if (t.tv_nsec >= 1000000000) t.tv_nsec -= 1000000000, ++t.tv_sec;
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  int r;
  while ((r = pthread_cond_clockwait(&g_shared->room, &g_mutex, clock, &t)) == 0) {
  }
  CHECK_EQ(r, ETIMEDOUT);
  locked();
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  CHECK_OK(clock_gettime(clock, &now));
  CHECK(now.tv_sec > t.tv_sec || (now.tv_sec == t.tv_sec && now.tv_nsec >= t.tv_nsec));
}

static void cleanup(void* ran) {
  locked();
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  *(int*)ran = 1;
}
static void* wait_for_ever(void* ran) {
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  pthread_cleanup_push(cleanup, ran);
  ++g_waiting;
  for (;;) CHECK_RC(pthread_cond_wait(&g_shared->more, &g_mutex), 0);
  pthread_cleanup_pop(0);
  return NULL;
}

static void* run(void* arg) {
  pthread_t t[kThreads];
  int ran = 0;
  t[0] = start_thread(wait_for_ever, &ran);
  all_wait(1);
  CHECK_RC(pthread_cancel(t[0]), 0);
  CHECK(join_thread(t[0]) == PTHREAD_CANCELED && ran);
  g_waiting = 0;
  time_out(CLOCK_REALTIME);
  time_out(CLOCK_MONOTONIC);
  for (int i = 0; i < kThreads; ++i) t[i] = start_thread(i & 1 ? consume : produce, NULL);
  for (int i = 0; i < kThreads; ++i) join_thread(t[i]);
  CHECK(g_items == 0 && g_taken == kThreads / 2 * kItems);

  for (int i = 0; i < kThreads; ++i) t[i] = start_thread(wait_for_go, NULL);
  all_wait(kThreads);
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  g_go = 1;
  CHECK_RC(pthread_cond_broadcast(&g_shared->more), 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  for (int i = 0; i < kThreads; ++i) join_thread(t[i]);

  // Another process signals.
  g_go = g_waiting = 0;
  for (int i = 0; i < 2; ++i) t[i] = start_thread(wait_for_go, NULL);
  all_wait(2);
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  g_go = 1;
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {  // it can't hold the mutex, which is the parent's: again and again, then
    while (!__atomic_load_n(&g_shared->done, __ATOMIC_ACQUIRE)) {
      CHECK_RC(pthread_cond_signal(&g_shared->more), 0);
      sched_yield();
    }
    _exit(0);
  }
  for (int i = 0; i < 2; ++i) join_thread(t[i]);
  __atomic_store_n(&g_shared->done, 1, __ATOMIC_RELEASE);
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  g_shared->done = 0;
  return arg;
}

int main(void) {
  g_shared = mmap(NULL, sizeof *g_shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(g_shared != MAP_FAILED);
  pthread_condattr_t shared;
  CHECK_RC(pthread_condattr_init(&shared), 0);
  CHECK_RC(pthread_condattr_setpshared(&shared, PTHREAD_PROCESS_SHARED), 0);
  CHECK_RC(pthread_cond_init(&g_shared->more, &shared), 0);
  CHECK_RC(pthread_cond_init(&g_shared->room, &shared), 0);
  join_thread(start_thread(run, NULL));
  g_taken = g_go = g_waiting = 0;
  run(NULL);
  return 0;
}
