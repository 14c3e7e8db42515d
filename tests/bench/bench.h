// What the benchmark programs share: a clock, failing with one line, arguments, and a calibrated measurement.
// The programs are plain POSIX and know nothing of vtshim. Each prints one line of `key value` pairs; the first is its figure.
#pragma once
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// Ends the program with one line if a call that returns an error number, or a condition, failed.
#define BENCH_OK(expr)                                                             \
  do {                                                                             \
    int bench_error_ = (expr);                                                     \
    if (bench_error_) bench_die(__FILE__, __LINE__, #expr, strerror(bench_error_)); \
  } while (0)
#define BENCH_CHECK(cond)                                                         \
  do {                                                                            \
    if (!(cond)) bench_die(__FILE__, __LINE__, #cond, errno ? strerror(errno) : "is false"); \
  } while (0)

static inline void bench_die(const char *file, int line, const char *what, const char *why) {
  fprintf(stderr, "%s:%d: %s: %s\n", file, line, what, why);
  exit(1);
}

static inline int64_t bench_now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// The value that follows `--name`, or `otherwise`.
static inline const char *bench_option(int argc, char **argv, const char *name, const char *otherwise) {
  for (int i = 1; i + 1 < argc; ++i)
    if (!strcmp(argv[i], name)) return argv[i + 1];
  return otherwise;
}

static inline double bench_seconds(int argc, char **argv) { return atof(bench_option(argc, argv, "--seconds", "1")); }

// Runs `run(n)` (which returns the nanoseconds that n operations took) with growing n until it lasts a quarter of
// `seconds`, which also warms up; then once for about `seconds`. Returns nanoseconds per operation.
static inline double bench_calibrated(int64_t (*run)(long n), double seconds) {
  double wanted = seconds * 1e9;
  long n = 100;
  for (;;) {
    double took = (double)run(n);
    if (took >= wanted / 4) {
      n = (long)((double)n * wanted / took) + 1;
      break;
    }
    // Grow at least twofold and at most tenfold a step: a first step pays for the start-up of everything.
    double factor = took > 0 ? wanted / 3 / took : 10;
    n = (long)((double)n * (factor < 2 ? 2 : factor > 10 ? 10 : factor));
  }
  return (double)run(n) / (double)n;
}
