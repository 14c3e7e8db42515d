// A handler forks, and may interrupt fork; its child may return from the handler, into the fork that it interrupted. In the children threads work.
#define _GNU_SOURCE
#include "../check.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/time.h>

enum { kForks = 400 };

static pid_t g_parent;
static atomic_int g_handled, g_returned;
static atomic_bool g_child_returns, g_threads;

static void* body(void* arg) {
  usleep(100);
  return arg;
}

static void ends_well(bool with_thread) {
  if (with_thread) CHECK(join_thread(start_thread(body, &g_handled)) == &g_handled);
  _exit(7);
}

static void expect(pid_t child) {
  CHECK_OK(child);
  int status;
  while (waitpid(child, &status, 0) < 0) {
    if (errno == ECHILD && getpid() != g_parent) ends_well(true);  // out of a handler over this: the child is the parent's
    CHECK_EQ(errno, EINTR);
  }
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void on_alarm(int signal) {
  (void)signal;
  int saved = errno, n = atomic_fetch_add(&g_handled, 1);
  pid_t child = atomic_load(&g_threads) ? _Fork() : fork();
  if (child == 0) {
    if (!atomic_load(&g_child_returns) || getppid() != g_parent) _exit(7);
    atomic_store(&g_returned, n + 1);
    return;  // it goes on where the parent was, in fork perhaps
  }
  expect(child);
  errno = saved;
}

static void forks(void) {
  for (int i = 0; i < kForks; ++i) {
    struct itimerval timer = {{0, 0}, {0, 1 + i % 300}};
    CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
    pid_t child = fork();
    if (child == 0) ends_well(i % 16 == 0 && !atomic_load(&g_threads));
    expect(child);
    if (getpid() != g_parent) ends_well(true);  // out of the handler, and of what it interrupted
  }
}

static void* waits(void* arg) {
  while (!atomic_load((atomic_bool*)arg)) usleep(1000);
  return arg;
}

int main(void) {
  g_parent = getpid();
  struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
  CHECK_OK(sigaction(SIGALRM, &action, NULL));
  forks();
  atomic_store(&g_child_returns, true);
  forks();
  atomic_store(&g_child_returns, false);
  atomic_store(&g_threads, true);
  static atomic_bool end;
  pthread_t thread = start_thread(waits, &end);
  forks();
  atomic_store(&end, true);
  join_thread(thread);
  CHECK(atomic_load(&g_handled) > 100);
  return 0;
}
