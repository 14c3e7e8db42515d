// A thread whose calls on descriptors never wait, as an event loop's under load, beside one that sleeps for short: the sleeper has its turns while the
// other goes on, as natively on a CPU of its own, at the latest every millisecond or so. How long is counted in the caller's calls, of five tries the
// best, so that it matters little who else uses the machine. (On one carrier each turn took the monitor's 2 to 4 ms.)
#include "../check.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>

enum { kTries = 5, kTurns = 40, kSleep = 100 };  // µs

static atomic_ulong g_calls;
static atomic_int g_stop;
static int g_pipe[2];

static void* calls(void* arg) {
  char c;
  while (!atomic_load(&g_stop)) {
    CHECK_ERR(read(g_pipe[0], &c, 1), EAGAIN);
    atomic_fetch_add_explicit(&g_calls, 1, memory_order_relaxed);
  }
  return arg;
}

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void* sleeps(void* arg) {
  unsigned long best = ~0ul, fastest = 0;  // calls a turn, and a millisecond
  for (int i = 0; i < kTries; ++i) {
    unsigned long before = atomic_load(&g_calls);
    uint64_t start = now();
    for (int k = 0; k < kTurns; ++k) CHECK_OK(usleep(kSleep));
    unsigned long made = atomic_load(&g_calls) - before, rate = (unsigned long)(made * 1000000 / (now() - start));
    if (made / kTurns < best) best = made / kTurns;
    if (rate > fastest) fastest = rate;
  }
  if (best >= fastest * 3 / 2) check_fail(__FILE__, __LINE__, 0, "a turn each %lu calls, of which %lu take a millisecond", best, fastest);
  atomic_store(&g_stop, 1);
  return arg;
}

int main(void) {
  CHECK_OK(pipe2(g_pipe, O_NONBLOCK));
  pthread_t sleeper = start_thread(sleeps, NULL), caller = start_thread(calls, NULL);
  join_thread(sleeper);
  join_thread(caller);
  return 0;
}
