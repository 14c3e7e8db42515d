// Cancellation against what a wait is for, at the same moment: a semaphore's unit is taken or stays, a byte isn't read twice. (glibc 2.36 may
// lose what a cancelled read had got, its bug 12683; under the shim nothing is lost, but this program must pass natively.)
#include "../check.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <sys/ioctl.h>

enum { kRounds = 300 };

static int g_pipe[2];
static sem_t g_sem;
static atomic_int g_took, g_read;

static void* read_one(void* arg) {
  char byte;
  if (read(g_pipe[0], &byte, 1) == 1) atomic_fetch_add(&g_read, 1);
  return arg;
}
static void* take_one(void* arg) {
  if (sem_wait(&g_sem) == 0) atomic_fetch_add(&g_took, 1);
  return arg;
}

int main(void) {
  CHECK_OK(pipe(g_pipe));
  CHECK_OK(sem_init(&g_sem, 0, 0));
  unsigned seed = 1;
  for (int i = 0; i < kRounds; ++i) {
    atomic_store(&g_took, 0);
    atomic_store(&g_read, 0);
    int given = 0;
    pthread_t reader = start_thread(read_one, NULL), taker = start_thread(take_one, NULL);
    if (i % 3) sched_yield();
    if (rand_r(&seed) % 2) {
      CHECK_EQ(write(g_pipe[1], "x", 1), 1);
      CHECK_OK(sem_post(&g_sem));
      given = 1;
    }
    for (volatile int k = rand_r(&seed) % 2000; k > 0; --k) {
    }
    CHECK_RC(pthread_cancel(reader), 0);
    CHECK_RC(pthread_cancel(taker), 0);
    join_thread(reader);
    join_thread(taker);
    int left, value;
    CHECK_OK(ioctl(g_pipe[0], FIONREAD, &left));
    CHECK_OK(sem_getvalue(&g_sem, &value));
    char byte;
    if (left) CHECK_EQ(read(g_pipe[0], &byte, 1), 1);
    if (value) CHECK_OK(sem_trywait(&g_sem));
    CHECK_EQ(value + atomic_load(&g_took), given);
    CHECK(left + atomic_load(&g_read) <= given);
  }
  return 0;
}
