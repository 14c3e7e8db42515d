// pthread_join(3): EDEADLK when a thread joins itself, EINVAL for a detached thread that lives; a refused join leaves
// the thread as it was. (Two joiners of one thread, and two that join each other, glibc 2.36 doesn't notice.)
#include "../check.h"

#include <semaphore.h>

static sem_t g_gate;
static sem_t g_done;

static void* join_self(void* arg) {
  CHECK_RC(pthread_join(pthread_self(), NULL), EDEADLK);
  CHECK_RC(pthread_join(pthread_self(), NULL), EDEADLK);
  return arg;
}

static void* wait_for_gate(void* arg) {
  CHECK_OK(sem_wait(&g_gate));
  CHECK_OK(sem_post(&g_done));
  return arg;
}

int main(void) {
  CHECK_OK(sem_init(&g_gate, 0, 0));
  CHECK_OK(sem_init(&g_done, 0, 0));
  CHECK_RC(pthread_join(pthread_self(), NULL), EDEADLK);
  int token;
  CHECK(join_thread(start_thread(join_self, &token)) == &token);

  pthread_t thread = start_thread(wait_for_gate, NULL);
  CHECK_RC(pthread_detach(thread), 0);
  void* result = &token;
  CHECK_RC(pthread_join(thread, &result), EINVAL);
  struct timespec later = deadline_after_ms(CLOCK_REALTIME, 10000);
  CHECK_RC(pthread_timedjoin_np(thread, &result, &later), EINVAL);
  CHECK(result == &token);
  CHECK_OK(sem_post(&g_gate));
  CHECK_OK(sem_wait(&g_done));

  pthread_attr_t attr;
  CHECK_RC(pthread_attr_init(&attr), 0);
  CHECK_RC(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED), 0);
  CHECK_RC(pthread_create(&thread, &attr, wait_for_gate, NULL), 0);
  CHECK_RC(pthread_attr_destroy(&attr), 0);
  CHECK_RC(pthread_join(thread, &result), EINVAL);
  CHECK_OK(sem_post(&g_gate));
  CHECK_OK(sem_wait(&g_done));
  return 0;
}
