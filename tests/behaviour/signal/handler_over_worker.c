// The process's signals are handled at once, while main waits and workers compute without ever calling anything: the handler has
// main's thread-local variables, may call what is async-signal-safe, and what it posts arrives.
#include "../check.h"

#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

enum { kAlarms = 40, kHogs = 3 };

static sem_t g_alarm;
static atomic_int g_stop;
static int g_pipe[2];
static __thread int t_count;

static void on_alarm(int signal) {
  (void)signal;
  int saved = errno;
  ++t_count;
  errno = 4711;  // main's, not the hog's
  CHECK_EQ(write(g_pipe[1], "a", 1), 1);
  CHECK_OK(sem_post(&g_alarm));
  errno = saved;
}

static void* hog(void* arg) {
  long turns = 0;
  errno = 17;
  while (!atomic_load(&g_stop)) ++turns;
  CHECK_EQ(errno, 17);
  CHECK_EQ(t_count, 0);
  return arg;
}

int main(void) {
  CHECK_OK(sem_init(&g_alarm, 0, 0));
  CHECK_OK(pipe(g_pipe));
  struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
  CHECK_OK(sigaction(SIGALRM, &action, NULL));
  pthread_t hogs[kHogs];
  sigset_t set;  // hogs start with all blocked
  sigfillset(&set);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
  for (int i = 0; i < kHogs; ++i) hogs[i] = start_thread(hog, NULL);
  CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
  struct itimerval timer = {{0, 2000}, {0, 2000}}, off = {{0, 0}, {0, 0}};
  CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
  for (int i = 0; i < kAlarms; ++i) {
    while (sem_wait(&g_alarm) != 0) CHECK_EQ(errno, EINTR);
    char byte;
    CHECK_EQ(read(g_pipe[0], &byte, 1), 1);
  }
  CHECK_OK(setitimer(ITIMER_REAL, &off, NULL));
  CHECK(t_count >= kAlarms);
  atomic_store(&g_stop, 1);
  for (int i = 0; i < kHogs; ++i) join_thread(hogs[i]);
  return 0;
}
