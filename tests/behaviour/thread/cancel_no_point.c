// Calls that wait and are no cancellation points: whoever is cancelled in semop(2), semtimedop(2) or flock(2) waits on, gets what he waited
// for, and ends at the next point. pthreads(7).
#include "../check.h"

#include <fcntl.h>
#include <semaphore.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/sem.h>

enum { kSemop, kSemtimedop, kFlock, kKinds, kRounds = 25 };

static int g_set, g_file, g_owner;
static sem_t g_begins;
static bool g_had;  // what it waited for

static void add(short n) {
  struct sembuf one = {0, n, 0};
  CHECK_EQ(semop(g_set, &one, 1), 0);
}

static void* waiter(void* arg) {
  long kind = (long)arg;
  struct sembuf one = {0, -1, 0};
  struct timespec minute = {60, 0};
  CHECK_OK(sem_post(&g_begins));
  if (kind == kSemop) CHECK_EQ(semop(g_set, &one, 1), 0);
  if (kind == kSemtimedop) CHECK_EQ(semtimedop(g_set, &one, 1, &minute), 0);
  if (kind == kFlock) CHECK_EQ(flock(g_file, LOCK_EX), 0);
  g_had = true;
  if (kind == kFlock) CHECK_OK(flock(g_file, LOCK_UN));
  pthread_testcancel();
  return NULL;
}

int main(void) {
  char name[] = "/tmp/vtshim-cancel-XXXXXX";
  CHECK_OK(sem_init(&g_begins, 0, 0));
  CHECK((g_set = semget(IPC_PRIVATE, 1, 0600)) >= 0);
  CHECK((g_owner = mkstemp(name)) >= 0);
  CHECK((g_file = open(name, O_RDWR)) >= 0);
  CHECK_OK(unlink(name));
  for (int i = 0; i < kRounds; ++i) {
    for (long kind = 0; kind < kKinds; ++kind) {
      if (kind == kFlock) CHECK_OK(flock(g_owner, LOCK_EX));
      g_had = false;
      pthread_t t = start_thread(waiter, (void*)kind);
      CHECK_OK(sem_wait(&g_begins));
      for (volatile int k = 0; k < i * 4000; ++k) {  // so that it is at different points of its call
      }
      if (i % 8 == 0) sleep_ms(5);
      CHECK_RC(pthread_cancel(t), 0);
      if (i % 2 == 0) sleep_ms(1);
      if (kind == kFlock) CHECK_OK(flock(g_owner, LOCK_UN));
      else add(1);
      CHECK(join_thread(t) == PTHREAD_CANCELED);
      CHECK(g_had);
    }
  }
  CHECK_EQ(semctl(g_set, 0, IPC_RMID), 0);
  return 0;
}
