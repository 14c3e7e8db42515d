// pthread_self(3), pthread_equal(3): the id that create stored is the id that the thread sees, it stays the same across
// blocking calls, and ids of live threads differ.
#include "../check.h"

#include <sched.h>
#include <semaphore.h>

enum { kThreads = 50 };

static pthread_t g_threads[kThreads];
static pthread_t g_seen[kThreads];
static pthread_barrier_t g_created;
static sem_t g_sem;

static void* check_self(void* arg) {
  int me = (int)(long)arg;
  g_seen[me] = pthread_self();
  pthread_barrier_wait(&g_created);
  for (int i = 0; i < 20; ++i) {
    CHECK(pthread_equal(pthread_self(), g_threads[me]));
    CHECK_EQ(pthread_self(), g_seen[me]);
    if (i % 3 == 0) sched_yield();
    if (i % 3 == 1) sleep_ms(1);
    if (i % 3 == 2) {
      CHECK_OK(sem_wait(&g_sem));
      CHECK_OK(sem_post(&g_sem));
    }
  }
  return NULL;
}

int main(void) {
  pthread_t self = pthread_self();
  CHECK_OK(sem_init(&g_sem, 0, 2));
  CHECK_RC(pthread_barrier_init(&g_created, NULL, kThreads + 1), 0);
  for (long i = 0; i < kThreads; ++i) g_threads[i] = start_thread(check_self, (void*)i);
  for (int i = 0; i < kThreads; ++i) {
    CHECK(!pthread_equal(g_threads[i], self));
    for (int j = 0; j < i; ++j) CHECK(!pthread_equal(g_threads[i], g_threads[j]));
  }
  pthread_barrier_wait(&g_created);
  CHECK(pthread_equal(pthread_self(), self));
  for (int i = 0; i < kThreads; ++i) join_thread(g_threads[i]);
  CHECK(pthread_equal(pthread_self(), self));
  return 0;
}
