// pthread_detach(3), pthread_attr_setdetachstate(3): detached threads run to their end by themselves and their
// resources are reclaimed (3,000 of them with 1 MiB stacks in turn), however they became detached.
#include "../check.h"

#include <semaphore.h>
#include <stdatomic.h>

enum { kRounds = 1000, kBatch = 50 };

static sem_t g_done;
static sem_t g_gate;
static atomic_int g_ran;

static void* count(void* arg) {
  (void)arg;
  atomic_fetch_add(&g_ran, 1);
  CHECK_OK(sem_post(&g_done));
  return NULL;
}

static void* detach_self(void* arg) {
  CHECK_RC(pthread_detach(pthread_self()), 0);
  return count(arg);
}

static void* wait_then_count(void* arg) {
  CHECK_OK(sem_wait(&g_gate));
  return count(arg);
}

static void* report_detach_state(void* arg) {
  pthread_attr_t attr;
  CHECK_RC(pthread_getattr_np(pthread_self(), &attr), 0);
  CHECK_RC(pthread_attr_getdetachstate(&attr, (int*)arg), 0);
  CHECK_RC(pthread_attr_destroy(&attr), 0);
  CHECK_OK(sem_post(&g_done));
  return NULL;
}

int main(void) {
  CHECK_OK(sem_init(&g_done, 0, 0));
  CHECK_OK(sem_init(&g_gate, 0, 0));
  pthread_attr_t detached;
  CHECK_RC(pthread_attr_init(&detached), 0);
  CHECK_RC(pthread_attr_setstacksize(&detached, 1 << 20), 0);
  CHECK_RC(pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED), 0);

  for (int i = 0; i < kRounds; ++i) {
    pthread_t thread;
    CHECK_RC(pthread_create(&thread, &detached, count, NULL), 0);
    start_thread_with_stack(1 << 20, detach_self, NULL);
    // Detached by its creator, before or after it has ended.
    CHECK_RC(pthread_detach(start_thread_with_stack(1 << 20, count, NULL)), 0);
    if (i % kBatch == kBatch - 1)
      for (int n = 0; n < 3 * kBatch; ++n) CHECK_OK(sem_wait(&g_done));
  }
  CHECK_EQ(atomic_load(&g_ran), 3 * kRounds);

  // Detached while it is blocked.
  pthread_t thread = start_thread(wait_then_count, NULL);
  CHECK_RC(pthread_detach(thread), 0);
  CHECK_RC(pthread_detach(thread), EINVAL);
  CHECK_OK(sem_post(&g_gate));
  CHECK_OK(sem_wait(&g_done));

  int state = -1;
  CHECK_RC(pthread_create(&thread, &detached, report_detach_state, &state), 0);
  CHECK_OK(sem_wait(&g_done));
  CHECK_EQ(state, PTHREAD_CREATE_DETACHED);
  thread = start_thread(report_detach_state, &state);
  CHECK_OK(sem_wait(&g_done));
  CHECK_EQ(state, PTHREAD_CREATE_JOINABLE);
  join_thread(thread);
  return 0;
}
