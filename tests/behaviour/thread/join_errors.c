// pthread_join(3): EDEADLK when a thread joins itself and when two join each other, EINVAL for a detached thread and
// for one that another thread is joining already. glibc checks all of these.
#include "../check.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>

static sem_t g_gate;
static pthread_barrier_t g_both;
static pthread_t g_pair[2];
static atomic_int g_refused;

static void* join_self(void* arg) {
  (void)arg;
  CHECK_RC(pthread_join(pthread_self(), NULL), EDEADLK);
  return NULL;
}

static void* wait_for_gate(void* arg) {
  CHECK_OK(sem_wait(&g_gate));
  return arg;
}

static void* join_given(void* arg) { return (void*)(intptr_t)pthread_join(*(pthread_t*)arg, NULL); }

static void* join_partner(void* arg) {
  int me = (int)(intptr_t)arg;
  pthread_barrier_wait(&g_both);
  if (me == 1) sleep_ms(30);  // so that the two don't pass the check in the same instant
  int rc = pthread_join(g_pair[!me], NULL);
  if (rc == EDEADLK)
    atomic_fetch_add(&g_refused, 1);
  else
    CHECK_RC(rc, 0);
  return NULL;
}

int main(void) {
  CHECK_OK(sem_init(&g_gate, 0, 0));
  CHECK_RC(pthread_join(pthread_self(), NULL), EDEADLK);
  join_thread(start_thread(join_self, NULL));

  // Detached and alive.
  pthread_t thread = start_thread(wait_for_gate, NULL);
  CHECK_RC(pthread_detach(thread), 0);
  CHECK_RC(pthread_join(thread, NULL), EINVAL);
  CHECK_OK(sem_post(&g_gate));

  // Two joiners of one blocked thread: one waits, the other gets EINVAL, whoever comes first.
  thread = start_thread(wait_for_gate, NULL);
  pthread_t first = start_thread(join_given, &thread);
  pthread_t second = start_thread(join_given, &thread);
  int rc_first;
  int rc_second;
  // The refused one ends at once, the other only after the gate opens.
  void* result;
  for (;;) {
    if (pthread_tryjoin_np(first, &result) == 0) {
      rc_first = (int)(intptr_t)result;
      CHECK_OK(sem_post(&g_gate));
      rc_second = (int)(intptr_t)join_thread(second);
      break;
    }
    if (pthread_tryjoin_np(second, &result) == 0) {
      rc_second = (int)(intptr_t)result;
      CHECK_OK(sem_post(&g_gate));
      rc_first = (int)(intptr_t)join_thread(first);
      break;
    }
    sleep_ms(1);
  }
  CHECK((rc_first == 0 && rc_second == EINVAL) || (rc_first == EINVAL && rc_second == 0));

  // A joins B while B joins A: the second to try is refused, then ends, and the first one's join succeeds.
  CHECK_RC(pthread_barrier_init(&g_both, NULL, 3), 0);
  g_pair[0] = start_thread(join_partner, (void*)0);
  g_pair[1] = start_thread(join_partner, (void*)1);
  pthread_barrier_wait(&g_both);
  // Whoever was refused is joined by the other; that other one is left for us, and a third join would be undefined:
  // wait for the refusal, then for the process's end.
  while (atomic_load(&g_refused) == 0) sleep_ms(1);
  sleep_ms(20);
  CHECK_EQ(atomic_load(&g_refused), 1);
  return 0;
}
