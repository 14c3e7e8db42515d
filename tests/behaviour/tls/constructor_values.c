// dlopen(3) on main and on workers: a library's constructor finds the static TLS of its thread with its initial values; what it writes there stays.
// The other threads, of before and since, have the initial ones.
#include "open_lib.h"

#include <sched.h>

enum { kRounds = 20 };
static int (*g_good)(void);
static pthread_barrier_t g_step;
static int g_last;

static void* open_it(void* arg) {
  void* handle = open_lib("constructor_values");
  *(void**)&g_good = find_in_lib(handle, "constructor_values_good");
  CHECK_EQ(g_good(), 106);
  sched_yield();
  CHECK_EQ(g_good(), 106);
  return arg ? arg : handle;
}

static void* other(void* arg) {
  do {
    pthread_barrier_wait(&g_step);
    if (g_last) break;
    CHECK_EQ(g_good(), 177);
    pthread_barrier_wait(&g_step);
  } while (arg);
  return NULL;
}
static void* brief(void* arg) {
  CHECK_EQ(g_good(), 177);
  return arg;
}

static void* leaves(void* arg) {
  open_it(arg);
  pthread_exit(arg);
}

int main(void) {
  pthread_t others[3];
  CHECK_RC(pthread_barrier_init(&g_step, NULL, 4), 0);
  for (int i = 0; i < 3; ++i) others[i] = start_thread(other, &g_step);
  for (int round = 0; round < kRounds; ++round) {
    void* handle = round % 2 ? open_it(NULL) : join_thread(start_thread(open_it, NULL));
    pthread_barrier_wait(&g_step);
    for (int i = 0; i < 3; ++i) join_thread(start_thread(brief, NULL));
    pthread_barrier_wait(&g_step);
    CHECK_EQ(dlclose(handle), 0);
  }
  g_last = 1;
  pthread_barrier_wait(&g_step);
  for (int i = 0; i < 3; ++i) join_thread(others[i]);
  join_thread(start_thread(leaves, (void*)1));
  return 0;
}
