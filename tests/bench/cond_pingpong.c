// Two worker threads hand a turn to and fro through a mutex and two condition variables; prints nanoseconds a round trip.
#include "bench.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned[2] = {PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER};
static int turn;
static long rounds;

static void *play(void *arg) {
  int me = (int)(intptr_t)arg;
  pthread_mutex_lock(&mutex);
  for (long i = 0; i < rounds; ++i) {
    while (turn != me) pthread_cond_wait(&turned[me], &mutex);
    turn = !me;
    pthread_cond_signal(&turned[!me]);
  }
  pthread_mutex_unlock(&mutex);
  return NULL;
}

static int64_t run(long n) {
  pthread_t threads[2];
  rounds = n;
  turn = 0;
  int64_t start = bench_now_ns();
  for (intptr_t i = 0; i < 2; ++i) BENCH_OK(pthread_create(&threads[i], NULL, play, (void *)i));
  for (int i = 0; i < 2; ++i) BENCH_OK(pthread_join(threads[i], NULL));
  return bench_now_ns() - start;
}

int main(int argc, char **argv) {
  printf("ns_per_op %.1f\n", bench_calibrated(run, bench_seconds(argc, argv)));
  return 0;
}
