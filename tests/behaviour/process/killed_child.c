// wait(2), signal(7): a process with many threads that is killed, aborts or crashes in a worker dies as a whole with
// that signal, whatever its threads do.
#include "../check.h"

#include <semaphore.h>
#include <signal.h>
#include <sys/resource.h>

static sem_t g_never;
static int g_signal;
static int g_pipe[2];

static void* blocked(void* arg) {
  sem_wait(&g_never);
  return arg;
}

static void* die(void* arg) {
  sleep_ms(1);
  switch (g_signal) {
    case SIGABRT:
      abort();
    case SIGSEGV:
      *(volatile int*)arg = 1;
      break;
    case SIGFPE: {
      volatile int zero = 0;
      zero = 17 / zero;  // 1 / x would be folded into comparisons
      break;
    }
    case SIGILL:
      __builtin_trap();
    case SIGTERM:
      raise(SIGTERM);
      break;
    default:
      CHECK_EQ(write(g_pipe[1], "r", 1), 1);
      break;  // killed from outside
  }
  sem_wait(&g_never);
  return arg;
}

static void child(void) {
  struct rlimit no_core = {0, 0};
  CHECK_OK(setrlimit(RLIMIT_CORE, &no_core));
  // Whoever started us may ignore some of these (a shell does for background jobs).
  CHECK(signal(g_signal, SIG_DFL) != SIG_ERR || g_signal == SIGKILL);
  CHECK_OK(sem_init(&g_never, 0, 0));
  for (int i = 0; i < 10; ++i) start_thread(blocked, NULL);
  join_thread(start_thread(die, NULL));
}

int main(void) {
  static const int kSignals[] = {SIGABRT, SIGSEGV, SIGFPE, SIGILL, SIGTERM, SIGKILL, SIGINT};
  CHECK_OK(pipe(g_pipe));
  for (size_t i = 0; i < sizeof kSignals / sizeof kSignals[0]; ++i) {
    g_signal = kSignals[i];
    pid_t pid = fork_child(child);
    if (g_signal == SIGKILL || g_signal == SIGINT) {
      char byte;
      CHECK_EQ(read(g_pipe[0], &byte, 1), 1);
      CHECK_OK(kill(pid, g_signal));
    }
    int status = wait_status(pid);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), g_signal);
  }
  return 0;
}
