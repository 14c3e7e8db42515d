// A FUTEX_WAKE that comes late, when the address is a semaphore's or a mutex's by now, is a spurious wake-up that nobody may take for
// more: sem_wait doesn't return without a unit, lock not without the mutex. (It did: waiters were found by the address alone.)
#include "../check.h"

#include <linux/futex.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/syscall.h>

static sem_t g_sem;
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_int g_allowed, g_here;

static void* wait_sem(void* arg) {
  atomic_fetch_add(&g_here, 1);
  CHECK_OK(sem_wait(&g_sem));
  CHECK_EQ(atomic_load(&g_allowed), 1);
  return arg;
}
static void* lock(void* arg) {
  atomic_fetch_add(&g_here, 1);
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  CHECK_EQ(atomic_load(&g_allowed), 1);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  return arg;
}

int main(void) {
  CHECK_OK(sem_init(&g_sem, 0, 0));
  for (int round = 0; round < 20; ++round) {
    atomic_store(&g_allowed, 0);
    atomic_store(&g_here, 0);
    CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
    pthread_t a = start_thread(wait_sem, NULL), b = start_thread(lock, NULL);
    while (atomic_load(&g_here) < 2) usleep(100);
    for (int i = 0; i < 50; ++i) {
      syscall(SYS_futex, &g_sem, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
      syscall(SYS_futex, &g_mutex, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
      usleep(20);
    }
    atomic_store(&g_allowed, 1);
    CHECK_OK(sem_post(&g_sem));
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
    join_thread(a);
    join_thread(b);
  }
  return 0;
}
