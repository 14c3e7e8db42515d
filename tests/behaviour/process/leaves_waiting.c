// As leaves_parked, but main waits in user space since before the last thread ended: in pause and in sem_wait. The wait
// isn't disturbed, and ends with what it waited for, which a signal handler brings.
#include "../check.h"
#include "count_entries.h"

#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

static sem_t g_sem;
static atomic_int g_handled;
static int g_ended[2];  // at its end the wait has ended

static void* ends_later(void* arg) {
  sleep_ms(100);
  return arg;
}
// A signal may come before main is in pause, so there may have to be more of them.
static void observer(void) {
  struct pollfd ended = {g_ended[0], POLLIN, 0};
  CHECK_OK(close(g_ended[1]));
  await_bare(getppid());
  do CHECK_OK(kill(getppid(), SIGUSR1));
  while (poll(&ended, 1, 500) == 0);
}
static void on_signal(int signal) {
  (void)signal;
  CHECK_OK(sem_post(&g_sem));
  atomic_fetch_add(&g_handled, 1);
}

int main(void) {
  CHECK_OK(sem_init(&g_sem, 0, 0));
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  for (int what = 0; what < 2; ++what) {
    CHECK_OK(pipe(g_ended));
    CHECK_RC(pthread_detach(start_thread(ends_later, NULL)), 0);
    pid_t child = fork_child(observer);
    CHECK_OK(close(g_ended[0]));
    int before = atomic_load(&g_handled);
    if (what == 0) CHECK_ERR(pause(), EINTR);
    CHECK_OK(sem_wait(&g_sem));
    CHECK(atomic_load(&g_handled) > before || what == 1);
    CHECK_OK(close(g_ended[1]));
    CHECK_CHILD_EXITS(child, 0);
    while (sem_trywait(&g_sem) == 0) {
    }
  }
  return 0;
}
