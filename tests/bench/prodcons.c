// Eight producers and eight consumers on a bounded buffer of 64 items: a mutex and two condition variables; prints
// nanoseconds an item.
#include "bench.h"

enum { kSide = 8, kSlots = 64 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER, not_empty = PTHREAD_COND_INITIALIZER;
static long slots[kSlots], head, filled, items_each;
static long sums[kSide];

static void *produce(void *unused) {
  for (long i = 1; i <= items_each; ++i) {
    pthread_mutex_lock(&mutex);
    while (filled == kSlots) pthread_cond_wait(&not_full, &mutex);
    slots[(head + filled++) % kSlots] = i;
    pthread_cond_signal(&not_empty);
    pthread_mutex_unlock(&mutex);
  }
  return unused;
}

static void *consume(void *arg) {
  long sum = 0;
  for (long i = 0; i < items_each; ++i) {
    pthread_mutex_lock(&mutex);
    while (!filled) pthread_cond_wait(&not_empty, &mutex);
    sum += slots[head];
    head = (head + 1) % kSlots;
    --filled;
    pthread_cond_signal(&not_full);
    pthread_mutex_unlock(&mutex);
  }
  *(long *)arg = sum;
  return NULL;
}

static int64_t run(long n) {
  pthread_t producers[kSide], consumers[kSide];
  items_each = n / kSide + 1;
  int64_t start = bench_now_ns();
  for (int i = 0; i < kSide; ++i) {
    BENCH_OK(pthread_create(&consumers[i], NULL, consume, &sums[i]));
    BENCH_OK(pthread_create(&producers[i], NULL, produce, NULL));
  }
  long sum = 0;
  for (int i = 0; i < kSide; ++i) {
    BENCH_OK(pthread_join(producers[i], NULL));
    BENCH_OK(pthread_join(consumers[i], NULL));
    sum += sums[i];
  }
  int64_t took = bench_now_ns() - start;
  errno = 0;
  BENCH_CHECK(sum == kSide * (items_each * (items_each + 1) / 2));
  return (int64_t)((double)took * (double)n / (double)(items_each * kSide));
}

int main(int argc, char **argv) {
  printf("ns_per_op %.1f\n", bench_calibrated(run, bench_seconds(argc, argv)));
  return 0;
}
