// pthread_tryjoin_np(3): EBUSY while the thread lives, then 0 and the result. EBUSY leaves the thread joinable.
#include "../check.h"

#include <sched.h>
#include <semaphore.h>

static sem_t g_gate;

static void* wait_for_gate(void* arg) {
  CHECK_OK(sem_wait(&g_gate));
  return arg;
}

int main(void) {
  CHECK_OK(sem_init(&g_gate, 0, 0));
  int token = 0;
  for (int round = 0; round < 100; ++round) {
    pthread_t thread = start_thread(wait_for_gate, &token);
    void* result = NULL;
    for (int i = 0; i < 3; ++i) CHECK_RC(pthread_tryjoin_np(thread, &result), EBUSY);
    CHECK(result == NULL);
    CHECK_OK(sem_post(&g_gate));
    int rc;
    while ((rc = pthread_tryjoin_np(thread, &result)) == EBUSY) sched_yield();
    CHECK_RC(rc, 0);
    CHECK(result == &token);
  }
  return 0;
}
