// 10,000 parked threads cost no CPU: some 1 ms in a second at the most. Then all of them are there still.
#include "../check.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <sys/resource.h>

enum { kThreads = 10000, kSeconds = 6 };

static sem_t g_go;
static atomic_int g_waiting, g_done;

static void* wait_for_it(void* arg) {
  atomic_fetch_add(&g_waiting, 1);
  CHECK_OK(sem_wait(&g_go));
  atomic_fetch_add(&g_done, 1);
  return arg;
}

static long cpu_us(void) {
  struct rusage u;
  CHECK_OK(getrusage(RUSAGE_SELF, &u));
  return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000L + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

int main(void) {
  static pthread_t threads[kThreads];
  CHECK_OK(sem_init(&g_go, 0, 0));
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread_with_stack(1 << 14, wait_for_it, NULL);
  while (atomic_load(&g_waiting) < kThreads) usleep(1000);
  sleep(1);  // what was started has settled
  long before = cpu_us();
  sleep(kSeconds);
  long used = cpu_us() - before;
  fprintf(stderr, "%d parked threads used %ld us of CPU in %d s\n", kThreads, used, kSeconds);
  CHECK(used < kSeconds * 1000L);
  for (int i = 0; i < kThreads; ++i) CHECK_OK(sem_post(&g_go));
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_EQ(atomic_load(&g_done), kThreads);
  return 0;
}
