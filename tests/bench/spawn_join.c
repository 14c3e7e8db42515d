// pthread_create and pthread_join in batches (--batch, default 1: one at a time), from the main thread or, with
// `--from worker`, from another thread; prints nanoseconds a thread.
#include "bench.h"

static long batch;
static long ran;  // by every thread once; each batch is checked after its joins

static void *body(void *arg) {
  __atomic_add_fetch(&ran, 1, __ATOMIC_RELAXED);
  return arg;
}

static int64_t run(long n) {
  pthread_t *threads = malloc((size_t)batch * sizeof *threads);
  long batches = n / batch + 1;
  ran = 0;
  int64_t start = bench_now_ns();
  for (long i = 0; i < batches; ++i) {
    for (long j = 0; j < batch; ++j) BENCH_OK(pthread_create(&threads[j], NULL, body, NULL));
    for (long j = 0; j < batch; ++j) BENCH_OK(pthread_join(threads[j], NULL));
  }
  int64_t took = bench_now_ns() - start;
  errno = 0;
  BENCH_CHECK(ran == batches * batch);
  free(threads);
  return (int64_t)((double)took * (double)n / (double)(batches * batch));
}

static double seconds;

static void *measure(void *unused) {
  printf("ns_per_op %.1f\n", bench_calibrated(run, seconds));
  return unused;
}

int main(int argc, char **argv) {
  seconds = bench_seconds(argc, argv);
  batch = atol(bench_option(argc, argv, "--batch", "1"));
  if (strcmp(bench_option(argc, argv, "--from", "main"), "worker")) {
    measure(NULL);
  } else {
    pthread_t worker;
    BENCH_OK(pthread_create(&worker, NULL, measure, NULL));
    BENCH_OK(pthread_join(worker, NULL));
  }
  return 0;
}
