// execve(2) from a worker, with others blocked and the main thread in join: the process is replaced, its id stays, the
// new image has one thread, the worker's signal mask and no leftover; it may use threads itself. A failing exec changes
// nothing.
#include "../check.h"
#include "count_threads.h"

#include <semaphore.h>
#include <signal.h>

static sem_t g_never;
static char g_pid[32];

static void* identity(void* arg) { return arg; }

static int run_new_image(const char* pid) {
  CHECK_EQ(getpid(), atoi(pid));
  CHECK_EQ(gettid(), getpid());
  CHECK_EQ(count_threads(), 1);
  sigset_t mask;
  CHECK_RC(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
  for (int signal = 1; signal < 32; ++signal) CHECK_EQ(sigismember(&mask, signal), signal == SIGUSR2);
  CHECK_EQ((long)join_thread(start_thread(identity, (void*)8)), 8);
  return 17;
}

static void* blocked(void* arg) {
  sem_wait(&g_never);
  return arg;
}

static void* exec_self(void* arg) {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR2);
  CHECK_RC(pthread_sigmask(SIG_SETMASK, &mask, NULL), 0);
  sleep_ms(1);
  char* argv[] = {(char*)"exec_worker", (char*)"new-image", g_pid, NULL};
  CHECK_ERR(execv("/nonexistent/program", argv), ENOENT);
  CHECK_EQ((long)join_thread(start_thread(identity, (void*)9)), 9);  // all is as it was
  execv("/proc/self/exe", argv);
  check_fail(__FILE__, __LINE__, errno, "execv returned");
  return arg;
}

static void child(void) {
  CHECK_OK(sem_init(&g_never, 0, 0));
  snprintf(g_pid, sizeof g_pid, "%d", (int)getpid());
  for (int i = 0; i < 10; ++i) start_thread(blocked, NULL);
  join_thread(start_thread(exec_self, NULL));
}

int main(int argc, char** argv) {
  if (argc > 2) return run_new_image(argv[2]);
  for (int i = 0; i < 5; ++i) {
    pid_t pid = fork_child(child);
    CHECK_CHILD_EXITS(pid, 17);
  }
  return 0;
}
