// pthread_create + pthread_join, one at a time; prints microseconds a pair.
#include <pthread.h>
#include <stdio.h>
#include <time.h>
static void *nothing(void *a) { return a; }
int main(void) {
  enum { N = 20000 };
  struct timespec s, e;
  clock_gettime(CLOCK_MONOTONIC, &s);
  for (int i = 0; i < N; ++i) { pthread_t t; if (pthread_create(&t, NULL, nothing, NULL)) return 1; pthread_join(t, NULL); }
  clock_gettime(CLOCK_MONOTONIC, &e);
  printf("%f\n", ((double)(e.tv_sec - s.tv_sec) * 1e9 + (double)(e.tv_nsec - s.tv_nsec)) / N / 1e3);
}
