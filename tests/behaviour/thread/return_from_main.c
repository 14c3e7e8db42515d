// C11 5.1.2.2.3: a return from main ends the process with that status, whatever its threads do: blocked, computing,
// creating threads, sleeping. The test is its own process: main returns 0 with all of these alive.
#include "../check.h"

#include <semaphore.h>
#include <stdatomic.h>

static sem_t g_never;
static sem_t g_started;
static atomic_ulong g_turns;

static void* blocked(void* arg) {
  CHECK_OK(sem_post(&g_started));
  sem_wait(&g_never);
  check_fail(__FILE__, __LINE__, errno, "sem_wait returned");
  return arg;
}

static void* compute(void* arg) {
  (void)arg;
  CHECK_OK(sem_post(&g_started));
  for (;;) atomic_fetch_add(&g_turns, 1);
}

static void* sleeping(void* arg) {
  (void)arg;
  CHECK_OK(sem_post(&g_started));
  for (;;) sleep_ms(1);
}

static void* nothing(void* arg) { return arg; }

static void* creating(void* arg) {
  (void)arg;
  CHECK_OK(sem_post(&g_started));
  for (;;) {
    // Creation may fail while the process is being torn down.
    pthread_t thread;
    if (pthread_create(&thread, NULL, nothing, NULL) == 0) pthread_join(thread, NULL);
  }
}

int main(void) {
  CHECK_OK(sem_init(&g_never, 0, 0));
  CHECK_OK(sem_init(&g_started, 0, 0));
  for (int i = 0; i < 10; ++i) start_thread(blocked, NULL);
  for (int i = 0; i < 3; ++i) start_thread(compute, NULL);
  for (int i = 0; i < 5; ++i) start_thread(sleeping, NULL);
  for (int i = 0; i < 2; ++i) start_thread(creating, NULL);
  for (int i = 0; i < 20; ++i) CHECK_OK(sem_wait(&g_started));
  sleep_ms(10);
  return 0;
}
