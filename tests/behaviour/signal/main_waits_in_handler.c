// The handler of a signal that main's own call raised may wait: others run meanwhile, or not, but nobody overwrites its frame, which other
// handlers come on top of, and it ends before the call returns.
#include "../check.h"

#include <signal.h>
#include <stdatomic.h>

static atomic_int g_stop;
static __thread int t_ran;

static void fill(volatile char* pad, size_t size, char with) {
  for (size_t i = 0; i < size; ++i) pad[i] = with;
}

static void on_pipe(int signal) {
  (void)signal;
  int saved = errno;
  volatile char pad[4096];
  fill(pad, sizeof pad, 1);
  usleep(2000);
  for (size_t i = 0; i < sizeof pad; ++i) CHECK_EQ(pad[i], 1);
  ++t_ran;
  errno = saved;
}
static void on_other(int signal) {
  (void)signal;
  volatile char pad[4096];
  fill(pad, sizeof pad, 2);
}

static void break_pipe(void) {
  int fds[2], before = t_ran;
  CHECK_OK(pipe(fds));
  CHECK_OK(close(fds[0]));
  CHECK_ERR(write(fds[1], "x", 1), EPIPE);
  CHECK_EQ(t_ran, before + 1);
  CHECK_OK(close(fds[1]));
}

static void* breaker(void* arg) {
  while (!atomic_load(&g_stop)) break_pipe();
  return arg;
}
static void* sender(void* arg) {
  while (!atomic_load(&g_stop)) {
    CHECK_OK(kill(getpid(), SIGUSR1));
    usleep(300);
  }
  return arg;
}

int main(void) {
  struct sigaction action = {.sa_handler = on_pipe, .sa_flags = SA_RESTART};
  CHECK_OK(sigaction(SIGPIPE, &action, NULL));
  action.sa_handler = on_other;
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  pthread_t threads[2] = {start_thread(breaker, NULL), start_thread(sender, NULL)};
  for (int i = 0; i < 50; ++i) break_pipe();
  atomic_store(&g_stop, 1);
  for (int i = 0; i < 2; ++i) join_thread(threads[i]);
  return 0;
}
