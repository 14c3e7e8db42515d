// Two threads hand a turn to and fro through two semaphores; prints nanoseconds a round trip. Both are workers; with --main yes, one
// is main; with --compare yes, the two ways take turns and their ratio is printed.
#include <semaphore.h>

#include "bench.h"

static sem_t ping, pong;
static long rounds;
static int in_main;

static void wait_for(sem_t *sem) {
  while (sem_wait(sem)) BENCH_CHECK(errno == EINTR);
}

static void *serve(void *unused) {
  for (long i = 0; i < rounds; ++i) {
    wait_for(&ping);
    sem_post(&pong);
  }
  return unused;
}

static void *drive(void *unused) {
  for (long i = 0; i < rounds; ++i) {
    sem_post(&ping);
    wait_for(&pong);
  }
  return unused;
}

static int64_t run(long n) {
  pthread_t a, b;
  rounds = n;
  int64_t start = bench_now_ns();
  BENCH_OK(pthread_create(&a, NULL, serve, NULL));
  if (in_main) drive(NULL);
  else BENCH_OK(pthread_create(&b, NULL, drive, NULL));
  BENCH_OK(pthread_join(a, NULL));
  if (!in_main) BENCH_OK(pthread_join(b, NULL));
  return bench_now_ns() - start;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void compare_both(double seconds) {
  enum { kWindows = 5 };
  double ratios[kWindows];
  bench_calibrated(run, seconds / 4);
  long n = rounds * 2 / kWindows + 1;
  for (int i = 0; i < kWindows; ++i) {
    double took[2];
    for (int way = 0; way < 2; ++way) {
      in_main = !way;
      took[in_main] = (double)run(n);
    }
    ratios[i] = took[1] / took[0];
  }
  qsort(ratios, kWindows, sizeof *ratios, compare);
  printf("main_over_workers %.3f\n", ratios[kWindows / 2]);
}

int main(int argc, char **argv) {
  sem_init(&ping, 0, 0);
  sem_init(&pong, 0, 0);
  if (strcmp(bench_option(argc, argv, "--compare", "no"), "no")) {
    compare_both(bench_seconds(argc, argv));
    return 0;
  }
  in_main = strcmp(bench_option(argc, argv, "--main", "no"), "no") != 0;
  printf("ns_per_op %.1f\n", bench_calibrated(run, bench_seconds(argc, argv)));
  return 0;
}
