// Two worker threads hand a turn to and fro through two semaphores; prints nanoseconds a round trip.
#include <semaphore.h>

#include "bench.h"

static sem_t ping, pong;
static long rounds;

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
  BENCH_OK(pthread_create(&b, NULL, drive, NULL));
  BENCH_OK(pthread_join(a, NULL));
  BENCH_OK(pthread_join(b, NULL));
  return bench_now_ns() - start;
}

int main(int argc, char **argv) {
  sem_init(&ping, 0, 0);
  sem_init(&pong, 0, 0);
  printf("ns_per_op %.1f\n", bench_calibrated(run, bench_seconds(argc, argv)));
  return 0;
}
