// execve(2), by main and by another thread, that takes its time (6 MB of arguments), while others compute, wait for I/O, and have signals handled that
// the caller blocks: nothing that is sent to the threads of the old program ends the new one.
#include "../check.h"

#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { kArguments = 46, kLength = 128 << 10, kReaders = 4, kComputing = 4 };
static sem_t g_started;
static atomic_ulong g_turns;
static int g_pipe[2];
static char* g_arguments[kArguments + 5];

static void on_signal(int signal) { (void)signal; }

static void* wait_for_byte(void* arg) {
  char c;
  sem_post(&g_started);
  CHECK_OK(read(g_pipe[0], &c, 1));
  return arg;
}

static void* compute(void* arg) {
  sem_post(&g_started);
  while (atomic_fetch_add(&g_turns, 1) < ~0ul) {
  }
  return arg;
}

// The only one that doesn't block SIGUSR1.
static void* signal_process(void* arg) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
  sem_post(&g_started);
  for (;;) CHECK_OK(kill(getpid(), SIGUSR1));
  return arg;
}

static void* replace(void* how) {
  char* none[] = {NULL};
  if (how) syscall(SYS_execve, "/bin/sh", g_arguments, none);
  else execve("/bin/sh", g_arguments, none);
  check_fail(__FILE__, __LINE__, errno, "execve returned");
}

static int g_by;

static void child(void) {
  struct rlimit limit;
  CHECK_OK(getrlimit(RLIMIT_STACK, &limit));
  limit.rlim_cur = limit.rlim_max == RLIM_INFINITY ? 64 << 20 : limit.rlim_max;  // a quarter of it is for arguments
  int count = limit.rlim_cur >= (32 << 20) ? kArguments : 8;
  CHECK_OK(sem_init(&g_started, 0, 0));
  CHECK_OK(pipe(g_pipe));
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
  char* long_one = malloc(kLength);
  CHECK(long_one);
  memset(long_one, 'x', kLength - 1);
  long_one[kLength - 1] = 0;
  int n = 0;
  g_arguments[n++] = "sh";
  g_arguments[n++] = "-c";
  g_arguments[n++] = "exit 21";
  for (int i = 0; i < count; ++i) g_arguments[n++] = long_one;
  for (int i = 0; i < kReaders; ++i) start_thread(wait_for_byte, NULL);
  for (int i = 0; i < kComputing; ++i) start_thread(compute, NULL);
  start_thread(signal_process, NULL);
  for (int i = 0; i < kReaders + kComputing + 1; ++i)
    while (sem_wait(&g_started) != 0) CHECK_EQ(errno, EINTR);
  sleep_ms(g_by);
  CHECK_OK(setrlimit(RLIMIT_STACK, &limit));
  if (g_by % 2) join_thread(start_thread(replace, g_by % 4 == 3 ? &g_by : NULL));
  else replace(g_by % 4 == 2 ? &g_by : NULL);
}

int main(void) {
  for (g_by = 0; g_by < 8; ++g_by) {
    pid_t pid = fork_child(child);
    CHECK_CHILD_EXITS(pid, 21);
  }
  return 0;
}
