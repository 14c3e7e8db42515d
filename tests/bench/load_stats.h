// What the load generator measures besides requests: latencies, its own CPU time and the server's.
#pragma once
#include <sys/resource.h>
#include <unistd.h>

#include "bench.h"

typedef struct {
  uint32_t *ns;
  size_t count, room;
} Samples;

static inline void samples_add(Samples *s, int64_t ns) {
  if (s->count == s->room) {
    s->room = s->room ? s->room * 2 : 1 << 20;
    s->ns = realloc(s->ns, s->room * sizeof *s->ns);
    BENCH_CHECK(s->ns);
  }
  s->ns[s->count++] = ns < 0 ? 0 : ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static inline int samples_compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static inline void samples_sort(Samples *s) {
  if (s->count) qsort(s->ns, s->count, sizeof *s->ns, samples_compare);
}

// Microseconds; of sorted samples.
static inline double samples_at(const Samples *s, double share) {
  return s->count ? s->ns[(size_t)((double)(s->count - 1) * share)] / 1e3 : 0;
}

static inline double own_cpu_s(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

// User and system time of all threads of a process, from /proc/PID/stat (in ticks of 10 ms).
static inline double process_cpu_s(long pid) {
  char path[64], text[1024];
  unsigned long user = 0, system = 0;
  if (!pid) return 0;
  snprintf(path, sizeof path, "/proc/%ld/stat", pid);
  FILE *f = fopen(path, "r");
  BENCH_CHECK(f);
  text[fread(text, 1, sizeof text - 1, f)] = 0;
  fclose(f);
  const char *after_name = strrchr(text, ')');
  errno = 0;
  BENCH_CHECK(after_name && sscanf(after_name, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) == 2);
  return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}
