// pthread_create(3), pthread_join(3), pthread_exit(3), keys, errno of its own per thread.
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#define CHECK(c) do { if (!(c)) { fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #c, errno); _exit(1); } } while (0)
static pthread_key_t key;
static int destroyed;
static __thread long mine = 7;
static void destroy(void *p) { __atomic_fetch_add(&destroyed, *(int *)p, __ATOMIC_SEQ_CST); free(p); }
static void *run(void *a) {
  int *e = &errno;
  CHECK(mine == 7 && pthread_getspecific(key) == NULL);
  int *one = malloc(sizeof *one);
  *one = 1;
  pthread_setspecific(key, one);
  for (int i = 0; i < 50; ++i) {
    mine = (long)a + i;
    *e = (int)(long)a;
    if (i % 10) sched_yield(); else usleep(10);
    CHECK(mine == (long)a + i && &errno == e && errno == (int)(long)a);
  }
  if ((long)a % 2) pthread_exit(a);
  return a;
}
int main(void) {
  enum { N = 300 };
  pthread_t t[N];
  pthread_key_create(&key, destroy);
  for (int round = 0; round < 3; ++round) {
    for (long i = 0; i < N; ++i) CHECK(pthread_create(&t[i], NULL, run, (void *)i) == 0);
    for (long i = 0; i < N; ++i) {
      void *r = NULL;
      CHECK(pthread_join(t[i], &r) == 0 && r == (void *)i);
    }
  }
  CHECK(destroyed == 3 * N);
  return 0;
}
