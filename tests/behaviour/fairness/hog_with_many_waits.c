// A thread computes on the carrier in whose ring 10,000 others wait (natively 1,000): that they are to wait elsewhere costs it ms, not the 10 s that the
// kernel took for "cancel all". All of them still read what comes then, each once.
#include "../check.h"

#include <stdatomic.h>

enum { kRounds = 3, kComputeMs = 100, kMostMs = 2000 };
static int g_count, g_pipe[2];
static atomic_int g_ready, g_read;
static atomic_long g_slowest;

static long long cpu_ms(clockid_t clock) {
  struct timespec t;
  CHECK_OK(clock_gettime(clock, &t));
  return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void* reader(void* arg) {
  char c;
  atomic_fetch_add(&g_ready, 1);
  for (int i = 0; i < kRounds; ++i) {
    CHECK_EQ(read(g_pipe[0], &c, 1), 1);
    atomic_fetch_add(&g_read, 1);
  }
  return arg;
}

// Its turns through the loop, at least some per ms: one that took long stood still for as long.
static void compute(void) {
  long long begin = cpu_ms(CLOCK_THREAD_CPUTIME_ID), last = begin, now;
  while ((now = cpu_ms(CLOCK_THREAD_CPUTIME_ID)) < begin + kComputeMs) {
    if (now - last > atomic_load(&g_slowest)) atomic_store(&g_slowest, now - last);
    last = now;
  }
}
static void* hog(void* arg) {
  compute();
  return arg;
}

int main(void) {
  g_count = getenv("LD_PRELOAD") ? 10000 : 1000;
  CHECK_OK(pipe(g_pipe));
  for (int i = 0; i < g_count; ++i) CHECK_RC(pthread_detach(start_thread_with_stack(64 << 10, reader, NULL)), 0);
  while (atomic_load(&g_ready) < g_count) sleep_ms(1);
  for (int round = 0; round < kRounds; ++round) {
    int before = atomic_load(&g_read);
    pthread_t other = start_thread(hog, NULL);
    compute();
    join_thread(other);
    CHECK_EQ(atomic_load(&g_read), before);
    char text[1000];
    memset(text, 'x', sizeof text);
    for (int i = 0; i < g_count; i += (int)sizeof text) CHECK_EQ(write(g_pipe[1], text, sizeof text), (ssize_t)sizeof text);
    while (atomic_load(&g_read) < before + g_count) sleep_ms(1);
  }
  if (atomic_load(&g_slowest) > kMostMs) check_fail(__FILE__, __LINE__, 0, "stood still for %ld ms of CPU time", atomic_load(&g_slowest));
  return 0;
}
