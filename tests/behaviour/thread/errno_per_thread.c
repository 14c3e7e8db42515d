// errno(3): each thread has its own, 0 at its start, with a constant address, kept across successful blocking calls and
// unaffected by failures in other threads.
#include "../check.h"

#include <fcntl.h>
#include <semaphore.h>

enum { kThreads = 40, kRounds = 100 };

static int* g_addresses[kThreads];
static sem_t g_sem;
static pthread_barrier_t g_step;
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;

static void* run(void* arg) {
  long me = (long)arg;
  CHECK_EQ(errno, 0);
  g_addresses[me] = &errno;
  pthread_barrier_wait(&g_step);
  for (int i = 0; i < kRounds; ++i) {
    // Half of them fail in different ways, half set it by hand.
    int want;
    if (me % 4 == 0) {
      CHECK_EQ(close(-1), -1);
      want = EBADF;
    } else if (me % 4 == 1) {
      CHECK_EQ(open("/nonexistent/file", O_RDONLY), -1);
      want = ENOENT;
    } else {
      errno = want = 1000 + (int)me;
    }
    CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
    CHECK_EQ(sem_wait(&g_sem), 0);
    CHECK_EQ(sem_post(&g_sem), 0);
    if (i % 10 == 0) usleep(1);
    CHECK_EQ(errno, want);
    CHECK(g_addresses[me] == &errno);
  }
  pthread_barrier_wait(&g_step);
  return NULL;
}

int main(void) {
  CHECK_OK(sem_init(&g_sem, 0, 3));
  CHECK_RC(pthread_barrier_init(&g_step, NULL, kThreads + 1), 0);
  pthread_t threads[kThreads];
  errno = 4711;
  for (long i = 0; i < kThreads; ++i) threads[i] = start_thread(run, (void*)i);
  pthread_barrier_wait(&g_step);
  pthread_barrier_wait(&g_step);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_EQ(errno, 4711);
  for (int i = 0; i < kThreads; ++i) {
    CHECK(g_addresses[i] != &errno);
    for (int j = 0; j < i; ++j) CHECK(g_addresses[i] != g_addresses[j]);
  }
  return 0;
}
