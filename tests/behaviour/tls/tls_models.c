// dlopen(3), dlclose(3) of a library with TLS of the global-dynamic, local-dynamic and initial-exec models, beside the program's own local-exec,
// again and again while threads live and use it, from main and from workers: the static space for it doesn't run out; each thread has its own
// values, which are the initial ones whenever the library is loaded anew; its destructors run when their threads end, also after the dlclose.
#include "open_lib.h"

#include <sched.h>
#include <semaphore.h>

enum { kOld = 10, kRounds = 120 };
static __attribute__((tls_model("local-exec"))) __thread int t_own = 7;
static int (*g_use)(int, int*);
static pthread_barrier_t g_step;
static int g_last, g_ended;

// Lives through all the rounds.
static void* old(void* arg) {
  int me = (int)(long)arg + 1;
  CHECK_EQ(t_own, 7);
  t_own = me;
  for (;;) {
    pthread_barrier_wait(&g_step);  // loaded
    if (g_last) return NULL;
    CHECK_EQ(g_use(me, NULL), 0);
    if (me % 3 == 0) usleep(100);
    else sched_yield();
    CHECK_EQ(g_use(me + 1, NULL), me);
    CHECK_EQ(t_own, me);
    pthread_barrier_wait(&g_step);  // used
  }
}

static void* brief(void* arg) {
  CHECK_EQ(g_use(5, arg), 0);
  sched_yield();
  CHECK_EQ(g_use(6, arg), 5);
  CHECK_EQ(t_own, 7);
  return NULL;
}

static int is_loaded(void) {
  char path[4096];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 256);
  path[length] = '\0';
  strcpy(strrchr(path, '/') + 1, "libtls_models.so");
  void* handle = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
  if (handle) dlclose(handle);
  return handle != NULL;
}

static void* open_it(void* arg) {
  void* handle = open_lib("tls_models");
  *(void**)&g_use = find_in_lib(handle, "models_use");
  CHECK_EQ(g_use(3, NULL), 0);
  CHECK_EQ(g_use(0, NULL), 3);
  (void)arg;
  return handle;
}
static void* close_it(void* handle) {
  CHECK_EQ(dlclose(handle), 0);
  return NULL;
}

typedef struct {
  void* handle;
  sem_t used, closed;
} Late;
static void* ends_late(void* arg) {
  Late* l = arg;
  CHECK_EQ(g_use(9, &g_ended), 0);
  CHECK_OK(sem_post(&l->used));
  CHECK_OK(sem_wait(&l->closed));
  return NULL;  // runs the library's destructor
}

int main(void) {
  pthread_t threads[kOld];
  CHECK_RC(pthread_barrier_init(&g_step, NULL, kOld + 1), 0);
  for (long i = 0; i < kOld; ++i) threads[i] = start_thread(old, (void*)i);
  for (int round = 0; round < kRounds; ++round) {
    int by_worker = round % 2;
    void* handle = by_worker ? join_thread(start_thread(open_it, NULL)) : open_it(NULL);
    pthread_barrier_wait(&g_step);
    __atomic_store_n(&g_ended, 0, __ATOMIC_RELAXED);
    pthread_t some[3];
    for (int i = 0; i < 3; ++i) some[i] = start_thread(brief, &g_ended);
    for (int i = 0; i < 3; ++i) join_thread(some[i]);
    CHECK_EQ(g_ended, 3);
    pthread_barrier_wait(&g_step);
    if (round % 10 == 0) {
      Late late = {.handle = handle};
      CHECK_OK(sem_init(&late.used, 0, 0) | sem_init(&late.closed, 0, 0));
      pthread_t thread = start_thread(ends_late, &late);
      CHECK_OK(sem_wait(&late.used));
      close_it(handle);
      CHECK(is_loaded());  // its destructor has still to run
      CHECK_OK(sem_post(&late.closed));
      join_thread(thread);
      CHECK_EQ(g_ended, 4);
      open_lib("tls_models");  // and out of it again
      handle = open_lib("tls_models");
      close_it(handle);
    }
    if (by_worker) close_it(handle);
    else join_thread(start_thread(close_it, handle));
    CHECK(!is_loaded());
  }
  g_last = 1;
  pthread_barrier_wait(&g_step);
  for (int i = 0; i < kOld; ++i) join_thread(threads[i]);
  return 0;
}
