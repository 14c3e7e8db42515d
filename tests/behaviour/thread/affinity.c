// sched_setaffinity(2), pthread_setaffinity_np(3) on the calling thread: the set is kept across blocking calls, is per
// thread, is inherited by new threads; EINVAL for an empty set. While one CPU is allowed, sched_getcpu() tells it.
#include "../check.h"

#include <sched.h>
#include <semaphore.h>

static cpu_set_t g_all;
static cpu_set_t g_one;
static int g_cpu;
static pthread_barrier_t g_step;

static void check_set(const cpu_set_t* want) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CHECK_OK(sched_getaffinity(0, sizeof set, &set));
  CHECK(CPU_EQUAL(&set, want));
  CPU_ZERO(&set);
  CHECK_RC(pthread_getaffinity_np(pthread_self(), sizeof set, &set), 0);
  CHECK(CPU_EQUAL(&set, want));
}

static void* inheritor(void* arg) {
  check_set(&g_one);
  CHECK_EQ(sched_getcpu(), g_cpu);
  return arg;
}

static void* bound(void* arg) {
  check_set(&g_all);
  if (arg != NULL)
    CHECK_OK(sched_setaffinity(0, sizeof g_one, &g_one));
  else
    CHECK_RC(pthread_setaffinity_np(pthread_self(), sizeof g_one, &g_one), 0);
  check_set(&g_one);
  for (int i = 0; i < 10; ++i) {
    CHECK_EQ(sched_getcpu(), g_cpu);
    sleep_ms(1);
    sched_yield();
  }
  pthread_barrier_wait(&g_step);
  check_set(&g_one);
  CHECK_EQ(sched_getcpu(), g_cpu);
  join_thread(start_thread(inheritor, NULL));
  CHECK_OK(sched_setaffinity(0, sizeof g_all, &g_all));
  check_set(&g_all);
  return NULL;
}

static void* unbound(void* arg) {
  check_set(&g_all);
  pthread_barrier_wait(&g_step);
  check_set(&g_all);
  return arg;
}

int main(void) {
  CHECK_OK(sched_getaffinity(0, sizeof g_all, &g_all));
  CHECK(CPU_COUNT(&g_all) >= 1);
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &g_all)) g_cpu = i;
  CPU_ZERO(&g_one);
  CHECK_ERR(sched_setaffinity(0, sizeof g_one, &g_one), EINVAL);
  CPU_SET(g_cpu, &g_one);
  CHECK_RC(pthread_barrier_init(&g_step, NULL, 4), 0);
  pthread_t threads[4];
  threads[0] = start_thread(bound, NULL);
  threads[1] = start_thread(bound, &g_one);
  threads[2] = start_thread(unbound, NULL);
  threads[3] = start_thread(unbound, NULL);
  for (int i = 0; i < 4; ++i) join_thread(threads[i]);
  check_set(&g_all);
  return 0;
}
