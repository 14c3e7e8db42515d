// Eight threads (--threads) take one mutex for a short section; prints nanoseconds a section, over all threads.
#include "bench.h"

enum { kMaxThreads = 256 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t begin;
static long threads_wanted, sections;
static volatile long counter;

static void *body(void *unused) {
  pthread_barrier_wait(&begin);
  for (long i = 0; i < sections; ++i) {
    pthread_mutex_lock(&mutex);
    counter = counter + 1;
    pthread_mutex_unlock(&mutex);
  }
  return unused;
}

static int64_t run(long n) {
  pthread_t threads[kMaxThreads];
  sections = n / threads_wanted + 1;
  counter = 0;
  BENCH_OK(pthread_barrier_init(&begin, NULL, (unsigned)threads_wanted + 1));
  for (long i = 0; i < threads_wanted; ++i) BENCH_OK(pthread_create(&threads[i], NULL, body, NULL));
  int64_t start = bench_now_ns();  // main may be scheduled late after the barrier: take the time before it
  pthread_barrier_wait(&begin);
  for (long i = 0; i < threads_wanted; ++i) BENCH_OK(pthread_join(threads[i], NULL));
  int64_t took = bench_now_ns() - start;
  pthread_barrier_destroy(&begin);
  errno = 0;
  BENCH_CHECK(counter == sections * threads_wanted);
  return (int64_t)((double)took * (double)n / (double)(sections * threads_wanted));
}

int main(int argc, char **argv) {
  threads_wanted = atol(bench_option(argc, argv, "--threads", "8"));
  BENCH_CHECK(threads_wanted > 0 && threads_wanted <= kMaxThreads);
  printf("ns_per_op %.1f\n", bench_calibrated(run, bench_seconds(argc, argv)));
  return 0;
}
