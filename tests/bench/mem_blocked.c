// Memory per thread blocked in sem_wait (--threads, default attributes): the whole system's, kernel included
// (MemAvailable), and the process's own resident set; prints bytes a thread.
#include <semaphore.h>
#include <unistd.h>

#include "bench.h"

static sem_t arrived, gate;

static void *body(void *arg) {
  sem_post(&arrived);
  while (sem_wait(&gate)) BENCH_CHECK(errno == EINTR);
  return arg;
}

// The KiB figure of a line "key:  N kB" in a file of /proc.
static long proc_kib(const char *path, const char *key) {
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

// What the machine has, once that stands still: what a process that has just ended gives back comes with delay.
static long settled_available(void) {
  enum { kSteady = 8, kAtMost = 200 };
  const long kNoise = 256;  // KiB
  long last = proc_kib("/proc/meminfo", "MemAvailable:");
  for (int steady = 0, i = 0; steady < kSteady && i < kAtMost; ++i) {
    usleep(50000);
    long now = proc_kib("/proc/meminfo", "MemAvailable:");
    steady = labs(now - last) <= kNoise ? steady + 1 : 0;
    if (!steady) last = now;
  }
  return last;
}

static void cycle(pthread_t *threads, long n, long *available, long *resident) {
  for (long i = 0; i < n; ++i) BENCH_OK(pthread_create(&threads[i], NULL, body, NULL));
  for (long i = 0; i < n; ++i)
    while (sem_wait(&arrived)) BENCH_CHECK(errno == EINTR);
  usleep(300000);  // the last ones get from sem_post into sem_wait; the kernel's per-CPU counters settle
  *available = settled_available();
  *resident = proc_kib("/proc/self/status", "VmRSS:");
  for (long i = 0; i < n; ++i) sem_post(&gate);
  for (long i = 0; i < n; ++i) BENCH_OK(pthread_join(threads[i], NULL));
}

int main(int argc, char **argv) {
  long n = atol(bench_option(argc, argv, "--threads", "10000"));
  long available[2], resident[2];
  pthread_t *threads = calloc((size_t)n, sizeof *threads);
  memset(threads, 1, (size_t)n * sizeof *threads);  // resident before the first measurement
  sem_init(&arrived, 0, 0);
  sem_init(&gate, 0, 0);
  cycle(threads, 1, &available[0], &resident[0]);  // what a first thread starts once isn't counted
  cycle(threads, n, &available[1], &resident[1]);
  printf("bytes_per_thread %.0f rss_bytes_per_thread %.0f threads %ld\n",
         (double)(available[0] - available[1]) * 1024 / (double)(n - 1),
         (double)(resident[1] - resident[0]) * 1024 / (double)(n - 1), n);
  return 0;
}
