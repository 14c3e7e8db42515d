// What many blocked threads cost: --threads are created, all wait (--on), are woken and joined. Prints nanoseconds a thread for both halves, of
// the process's CPU time, since what else the machine does is no part of it; and while all wait, bytes a thread: the whole system's (MemAvailable), resident, the kernel's tables for them, and malloc's.
//
// --on cond: one condition variable, a broadcast. sem: one semaphore. own: each its own semaphore. timed: likewise, with deadlines an hour
// ahead, all different. event: each its own eventfd (as many as RLIMIT_NOFILE allows). --stack BYTES: by attribute. --rounds: over again, with used memory.
#include <malloc.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench.h"

enum Kind { kCond, kSem, kOwn, kTimed, kEvent, kKinds };
static const char *const kNames[kKinds] = {"cond", "sem", "own", "timed", "event"};

static enum Kind kind;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int open_gate, waiting;
static sem_t arrived, gate, *own;
static int *events;
static int64_t hour_ahead;

static void *body(void *arg) {
  long i = (long)arg;
  if (kind == kCond) {
    pthread_mutex_lock(&mutex);
    ++waiting;
    while (!open_gate) pthread_cond_wait(&cond, &mutex);
    pthread_mutex_unlock(&mutex);
    return arg;
  }
  sem_post(&arrived);
  int64_t when = hour_ahead + i * 1000;
  struct timespec deadline = {when / 1000000000, when % 1000000000};
  eventfd_t count;
  switch (kind) {
    case kSem: BENCH_CHECK(sem_wait(&gate) == 0); break;
    case kOwn: BENCH_CHECK(sem_wait(&own[i]) == 0); break;
    case kTimed: BENCH_CHECK(sem_clockwait(&own[i], CLOCK_MONOTONIC, &deadline) == 0); break;
    default: BENCH_CHECK(read(events[i], &count, sizeof count) == sizeof count);
  }
  return arg;
}

static int64_t cpu_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void all_wait(long n) {
  if (kind != kCond) {
    for (long i = 0; i < n; ++i) BENCH_CHECK(sem_wait(&arrived) == 0);
    return;
  }
  for (int all = 0; !all;) {
    pthread_mutex_lock(&mutex);
    all = waiting == n;
    pthread_mutex_unlock(&mutex);
    if (!all) usleep(1000);
  }
}

static void wake_all(long n) {
  if (kind == kCond) {
    pthread_mutex_lock(&mutex);
    open_gate = 1;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&mutex);
  }
  // Not in the order in which they came: a step that is prime to n.
  long at = 0, step = 7919;
  while (n % step == 0) step += 2;
  for (long i = 0; i < n && kind != kCond; ++i, at = (at + step) % n) {
    if (kind == kSem) sem_post(&gate);
    else if (kind == kEvent) BENCH_CHECK(write(events[at], &(eventfd_t){1}, sizeof(eventfd_t)) == sizeof(eventfd_t));
    else sem_post(&own[at]);
  }
}

typedef struct {
  long available, resident, tables, heap;
} Memory;

static long kib_of(const char *path, const char *key) {
  char line[256];
  long value = -1;
  FILE *f = fopen(path, "r");
  BENCH_CHECK(f);
  while (value < 0 && fgets(line, sizeof line, f))
    if (!strncmp(line, key, strlen(key))) value = atol(line + strlen(key));
  fclose(f);
  BENCH_CHECK(value >= 0);
  return value;
}

static Memory memory_now(void) {
  struct mallinfo2 heap = mallinfo2();
  return (Memory){kib_of("/proc/meminfo", "MemAvailable:"), kib_of("/proc/self/status", "VmRSS:"), kib_of("/proc/self/status", "VmPTE:"),
                  (long)(heap.uordblks + heap.hblkhd)};
}

int main(int argc, char **argv) {
  long n = atol(bench_option(argc, argv, "--threads", "10000")), rounds = atol(bench_option(argc, argv, "--rounds", "1"));
  size_t stack = (size_t)atol(bench_option(argc, argv, "--stack", "0"));
  const char *name = bench_option(argc, argv, "--on", "sem");
  while (kind < kKinds && strcmp(kNames[kind], name)) ++kind;
  BENCH_CHECK(kind < kKinds);

  pthread_t *threads = malloc((size_t)n * sizeof *threads);
  own = malloc((size_t)n * sizeof *own);
  events = malloc((size_t)n * sizeof *events);
  memset(threads, 1, (size_t)n * sizeof *threads);  // resident before the first measurement
  for (long i = 0; i < n; ++i) sem_init(&own[i], 0, 0);
  for (long i = 0; i < n && kind == kEvent; ++i) BENCH_CHECK((events[i] = eventfd(0, EFD_CLOEXEC)) >= 0);
  sem_init(&arrived, 0, 0);
  sem_init(&gate, 0, 0);
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  if (stack) BENCH_OK(pthread_attr_setstacksize(&attr, stack));

  for (long round = -1; round < rounds; ++round) {  // the first has one thread: what that starts once isn't counted
    long count = round < 0 ? 1 : n;
    hour_ahead = bench_now_ns() + 3600ll * 1000000000;
    open_gate = waiting = 0;
    Memory before = memory_now();
    int64_t began = bench_now_ns();
    int64_t start = cpu_ns();
    for (long i = 0; i < count; ++i) BENCH_OK(pthread_create(&threads[i], &attr, body, (void *)i));
    all_wait(count);
    int64_t created = cpu_ns();
    usleep(300000);  // the last ones get from sem_post into their wait; the kernel's per-CPU counters settle
    Memory now = memory_now();
    int64_t parked = cpu_ns();
    wake_all(count);
    for (long i = 0; i < count; ++i) {
      void *result;
      BENCH_OK(pthread_join(threads[i], &result));
      BENCH_CHECK(result == (void *)i);
    }
    int64_t joined = cpu_ns();
    if (round < 0) continue;
    double d = (double)n;
    printf("create_ns %.0f end_ns %.0f seconds %.1f ", (double)(created - start) / d, (double)(joined - parked) / d,
           (double)(bench_now_ns() - began) / 1e9);
    printf("bytes %.0f rss_bytes %.0f table_bytes %.0f heap_bytes %.0f threads %ld\n", (double)(before.available - now.available) * 1024 / d,
           (double)(now.resident - before.resident) * 1024 / d, (double)(now.tables - before.tables) * 1024 / d,
           (double)(now.heap - before.heap) / d, n);
  }
  return 0;
}
