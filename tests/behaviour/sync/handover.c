// Mutex, condition and semaphore hand-overs, between workers and with the main thread; nothing lost, nothing doubled.
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <unistd.h>
#define CHECK(c) do { if (!(c)) { fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #c); _exit(1); } } while (0)
enum { N = 8, ROUNDS = 2000 };
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static long sum, turn;
static sem_t ping, pong;
static void *count(void *a) {
  (void)a;
  for (int i = 0; i < ROUNDS; ++i) {
    pthread_mutex_lock(&m);
    long s = sum;
    if (i % 64 == 0) sched_yield();
    sum = s + 1;
    pthread_mutex_unlock(&m);
  }
  return NULL;
}
static void *take_turn(void *a) {
  for (int i = 0; i < 200; ++i) {
    pthread_mutex_lock(&m);
    while (turn % N != (long)a) pthread_cond_wait(&c, &m);
    ++turn;
    pthread_cond_broadcast(&c);
    pthread_mutex_unlock(&m);
  }
  return NULL;
}
static void *answer(void *a) {
  (void)a;
  for (int i = 0; i < ROUNDS; ++i) { sem_wait(&ping); sem_post(&pong); }
  return NULL;
}
int main(void) {
  pthread_t t[N];
  for (long i = 0; i < N; ++i) pthread_create(&t[i], NULL, count, NULL);
  count(NULL);
  for (int i = 0; i < N; ++i) pthread_join(t[i], NULL);
  CHECK(sum == (N + 1) * ROUNDS);
  for (long i = 0; i < N; ++i) pthread_create(&t[i], NULL, take_turn, (void *)i);
  for (int i = 0; i < N; ++i) pthread_join(t[i], NULL);
  CHECK(turn == N * 200);
  sem_init(&ping, 0, 0);
  sem_init(&pong, 0, 0);
  pthread_create(&t[0], NULL, answer, NULL);
  for (int i = 0; i < ROUNDS; ++i) { sem_post(&ping); sem_wait(&pong); }
  pthread_join(t[0], NULL);
  return 0;
}
