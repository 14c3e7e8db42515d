// gettid(2): distinct for every live thread, the same in each call of a thread whatever blocks in between, equal to
// syscall(SYS_gettid); the main thread's is getpid().
#include "../check.h"

#include <sched.h>
#include <sys/syscall.h>

enum { kThreads = 300 };

static pid_t g_tids[kThreads];
static pthread_barrier_t g_step;

static void* run(void* arg) {
  long me = (long)arg;
  g_tids[me] = gettid();
  pthread_barrier_wait(&g_step);
  for (int i = 0; i < 5; ++i) {
    CHECK_EQ(gettid(), g_tids[me]);
    CHECK_EQ(syscall(SYS_gettid), g_tids[me]);
    if (i % 2)
      sched_yield();
    else
      sleep_ms(1);
  }
  pthread_barrier_wait(&g_step);
  return NULL;
}

static int compare(const void* a, const void* b) { return *(const pid_t*)a - *(const pid_t*)b; }

int main(void) {
  CHECK_EQ(gettid(), getpid());
  CHECK_EQ(syscall(SYS_gettid), getpid());
  CHECK_RC(pthread_barrier_init(&g_step, NULL, kThreads + 1), 0);
  pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; ++i) threads[i] = start_thread_with_stack(256 * 1024, run, (void*)i);
  pthread_barrier_wait(&g_step);
  pthread_barrier_wait(&g_step);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  qsort(g_tids, kThreads, sizeof g_tids[0], compare);
  for (int i = 0; i < kThreads; ++i) {
    CHECK(g_tids[i] > 0);
    CHECK(g_tids[i] != getpid());
    if (i > 0) CHECK(g_tids[i] != g_tids[i - 1]);
  }
  CHECK_EQ(gettid(), getpid());
  return 0;
}
