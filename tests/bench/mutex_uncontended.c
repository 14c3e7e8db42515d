// Lock and unlock of a mutex that nobody else wants, in a thread; prints nanoseconds a pair.
#include "bench.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static double seconds;

static int64_t run(long n) {
  int64_t start = bench_now_ns();
  for (long i = 0; i < n; ++i) {
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
  }
  return bench_now_ns() - start;
}

static void *measure(void *unused) {
  printf("ns_per_op %.2f\n", bench_calibrated(run, seconds));
  return unused;
}

int main(int argc, char **argv) {
  pthread_t thread;
  seconds = bench_seconds(argc, argv);
  BENCH_OK(pthread_create(&thread, NULL, measure, NULL));
  BENCH_OK(pthread_join(thread, NULL));
  return 0;
}
