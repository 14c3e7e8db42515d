// Some seconds after its last thread has ended a process has one OS thread and no ring any more, though main sits in one blocking call
// all the while; new threads work as the first ones did, and so do main's signals and waits in between.
#include "../check.h"
#include "count_entries.h"

#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

enum { kThreads = 20 };

static atomic_int g_ran, g_handled;
static sem_t g_sem;

static void* body(void* arg) {
  usleep(1000);
  CHECK_OK(sem_post(&g_sem));
  atomic_fetch_add(&g_ran, 1);
  return arg;
}

static void some_threads(void) {
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(body, NULL);
  for (int i = 0; i < kThreads; ++i) {
    while (sem_wait(&g_sem) != 0) CHECK_EQ(errno, EINTR);
    join_thread(threads[i]);
  }
}

static void observer(void) { await_bare(getppid()); }

static void on_signal(int signal) {
  (void)signal;
  atomic_fetch_add(&g_handled, 1);
}

int main(void) {
  CHECK_OK(sem_init(&g_sem, 0, 0));
  struct sigaction action = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  some_threads();
  pid_t child = fork_child(observer);
  CHECK_CHILD_EXITS(child, 0);
  CHECK_OK(raise(SIGUSR1));
  CHECK_EQ(atomic_load(&g_handled), 1);
  struct sigaction now;
  CHECK_OK(sigaction(SIGUSR1, NULL, &now));
  CHECK(now.sa_handler == on_signal);
  some_threads();
  CHECK_RC(pthread_kill(pthread_self(), SIGUSR1), 0);
  CHECK_EQ(atomic_load(&g_handled), 2);
  CHECK_EQ(atomic_load(&g_ran), 2 * kThreads);
  return 0;
}
