// A handler (with SA_RESTART) posts the semaphore that main is just about to wait for, at every point of its way there: the post is
// never lost. (It was, when the handler hit main inside the runtime.)
#include "../check.h"

#include <semaphore.h>
#include <signal.h>
#include <time.h>

enum { kRounds = 20000 };

static sem_t g_sem, g_end;

static void handler(int signal) {
  (void)signal;
  CHECK_OK(sem_post(&g_sem));
}

static void* present(void* arg) {
  sigset_t set;
  sigfillset(&set);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
  CHECK_OK(sem_wait(&g_end));
  return arg;
}

int main(void) {
  CHECK_OK(sem_init(&g_sem, 0, 0));
  CHECK_OK(sem_init(&g_end, 0, 0));
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
  CHECK_OK(sigaction(SIGALRM, &action, NULL));
  pthread_t thread = start_thread(present, NULL);
  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
  CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
  unsigned seed = 1;
  for (int i = 0; i < kRounds; ++i) {
    struct itimerspec once = {.it_value = {0, 1 + rand_r(&seed) % 8000}};
    CHECK_OK(timer_settime(timer, 0, &once, NULL));
    for (volatile int k = rand_r(&seed) % 3000; k > 0; --k) {
    }
    CHECK_OK(sem_wait(&g_sem));
  }
  CHECK_OK(timer_delete(timer));
  CHECK_OK(sem_post(&g_end));
  join_thread(thread);
  return 0;
}
