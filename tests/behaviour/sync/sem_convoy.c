// A lock made of a semaphore, as CPython's: a queue that has formed at it isn't kept in step for ever. Who unlocks it and locks it again at once
// mostly gets it, as the users of a pool need that keeps few idle connections and connects under its lock: otherwise those who
// give back and those who take come in turns, all connections are closed in between, and the lock is held for connecting all the time.
#include "../check.h"

#include <semaphore.h>

enum { kThreads = 40, kRounds = 20, kIdle = 2 };

static sem_t g_lock;
static int g_idle, g_connects;

static void* use(void* arg) {
  for (int i = 0; i < kRounds; ++i) {
    CHECK_OK(sem_wait(&g_lock));
    if (g_idle) {
      --g_idle;
    } else {
      ++g_connects;
      usleep(2000);
    }
    CHECK_OK(sem_post(&g_lock));
    usleep(500);
    CHECK_OK(sem_wait(&g_lock));
    if (g_idle < kIdle) ++g_idle;
    CHECK_OK(sem_post(&g_lock));
  }
  return arg;
}

int main(void) {
  CHECK_OK(sem_init(&g_lock, 0, 1));
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(use, NULL);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  printf("%d connects in %d rounds\n", g_connects, kThreads * kRounds);
  CHECK(g_connects < kThreads * kRounds * 3 / 4);
  return 0;
}
