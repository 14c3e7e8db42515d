// A worker spins, without a call, until main does something; main has to be woken by another worker, or by its own time-out, first. Also
// with more spinners than CPUs, with spinners that use floating point and string instructions, and with main holding locks.
#include "../check.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <sys/sysinfo.h>

enum { kRounds = 6 };

static atomic_int g_flag, g_spinning;
static sem_t g_sem;

static void* spin(void* arg) {
  double x = (double)(long)arg;
  char text[64], copy[64];
  int errors = 0;
  memset(text, 'a' + (int)(long)arg % 20, sizeof text);
  errno = 5000 + (int)(long)arg;
  atomic_fetch_add(&g_spinning, 1);
  double sum = 0;
  while (!atomic_load(&g_flag)) {
    double before = x * 3.25 + 1;
    memcpy(copy, text, sizeof copy);
    sum = sum * 0.5 + before;
    errors += memcmp(copy, text, sizeof copy) != 0 || before != x * 3.25 + 1;
  }
  CHECK_EQ(errors, 0);
  CHECK_EQ(errno, 5000 + (int)(long)arg);
  return arg;
}

static void* wake_main(void* arg) {
  usleep(3000);
  CHECK_OK(sem_post(&g_sem));
  return arg;
}

int main(void) {
  CHECK_OK(sem_init(&g_sem, 0, 0));
  int spinners = get_nprocs() + 4;
  pthread_t threads[spinners + 1];
  for (int round = 0; round < kRounds; ++round) {
    int n = round % 2 ? spinners : 1;
    atomic_store(&g_flag, 0);
    atomic_store(&g_spinning, 0);
    for (long i = 0; i < n; ++i) threads[i] = start_thread(spin, (void*)i);
    threads[n] = start_thread(wake_main, NULL);
    if (round / 2 == 0) {
      CHECK_OK(sem_wait(&g_sem));
    } else if (round / 2 == 1) {
      usleep(5000);
      CHECK_OK(sem_wait(&g_sem));
    } else {
      struct timespec deadline = deadline_after_ms(CLOCK_REALTIME, 2);
      if (sem_timedwait(&g_sem, &deadline) != 0) {
        CHECK_EQ(errno, ETIMEDOUT);
        CHECK_OK(sem_wait(&g_sem));
      }
    }
    while (atomic_load(&g_spinning) < n) usleep(100);
    atomic_store(&g_flag, 1);
    for (int i = 0; i <= n; ++i) join_thread(threads[i]);
  }
  return 0;
}
