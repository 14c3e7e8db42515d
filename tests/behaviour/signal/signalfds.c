// read(2) from a signalfd waits for the reader's own signals and for the process's: main's in the midst of signals that wake it in vain, each of the
// process's for one of several readers; errors, cancellation, SIGCHLD. signalfd(2).
#include "../check.h"

#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/signalfd.h>
#include <sys/uio.h>

enum { kVain = 200, kReaders = 4, kSignals = 300, kRounds = 600 };

static pthread_t g_main;
static atomic_int g_ran, g_seen[kSignals];
static int g_fd;
static sem_t g_begun, g_read;

static void on_other(int signal) {
  (void)signal;
  atomic_fetch_add(&g_ran, 1);
}

static int signals(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
  int fd = signalfd(-1, &set, SFD_CLOEXEC);
  CHECK_OK(fd);
  return fd;
}

static void* wake_in_vain(void* arg) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);  // all are main's
  CHECK_OK(sem_post(&g_begun));
  for (int i = 1; i <= kVain; ++i) {
    CHECK_OK(kill(getpid(), SIGUSR2));
    do usleep(100); while (atomic_load(&g_ran) < i);  // main waits meanwhile
  }
  if (arg) CHECK_RC(pthread_kill(g_main, SIGUSR1), 0);
  else CHECK_OK(kill(getpid(), SIGUSR1));
  CHECK_OK(sem_wait(&g_read));  // main isn't alone
  return NULL;
}

// A signal of main's, or of the process, that comes after very many others.
static void mains_own(int to_main) {
  struct signalfd_siginfo info;
  atomic_store(&g_ran, 0);
  int fd = signals(SIGUSR1);
  pthread_t t = start_thread(wake_in_vain, to_main ? &g_fd : NULL);
  CHECK_OK(sem_wait(&g_begun));
  CHECK_EQ(read(fd, &info, sizeof info), (int)sizeof info);
  CHECK_EQ(info.ssi_signo, SIGUSR1);
  CHECK_EQ(info.ssi_code, to_main ? SI_TKILL : SI_USER);
  CHECK_EQ(atomic_load(&g_ran), kVain);
  CHECK_OK(sem_post(&g_read));
  join_thread(t);
  // Another way, and another number
  int copy = dup(fd);
  CHECK_OK(copy);
  CHECK_RC(pthread_kill(g_main, SIGUSR1), 0);
  struct iovec one = {&info, sizeof info};
  CHECK_EQ(readv(copy, &one, 1), (int)sizeof info);
  CHECK_EQ(info.ssi_signo, SIGUSR1);
  // Less room than for one: at once
  CHECK_ERR(read(fd, &info, sizeof info - 1), EINVAL);
  CHECK_ERR(read(copy, &info, 1), EINVAL);
  CHECK_OK(close(copy));
  CHECK_OK(close(fd));
}

static void* reader(void* arg) {
  for (;;) {
    struct signalfd_siginfo info;
    CHECK_EQ(read(g_fd, &info, sizeof info), (int)sizeof info);
    CHECK_EQ(info.ssi_signo, SIGRTMIN);
    if (info.ssi_int < 0) return arg;
    CHECK(info.ssi_int < kSignals);
    CHECK_EQ(atomic_fetch_add(&g_seen[info.ssi_int], 1), 0);
  }
}

static void* sender(void* arg) {
  for (int i = 0; i < kSignals; ++i) {
    CHECK_OK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i}));
    if (i % 8 == 0) usleep(200);
  }
  for (int i = 0; i <= kReaders; ++i) CHECK_OK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = -1}));
  return arg;
}

static void shared(void) {
  g_fd = signals(SIGRTMIN);
  pthread_t t[kReaders], s;
  for (int i = 0; i < kReaders; ++i) t[i] = start_thread(reader, NULL);
  s = start_thread(sender, NULL);
  reader(NULL);
  for (int i = 0; i < kReaders; ++i) join_thread(t[i]);
  join_thread(s);
  for (int i = 0; i < kSignals; ++i) CHECK_EQ(atomic_load(&g_seen[i]), 1);
  // Who waits for nothing is cancelled.
  pthread_t waiting = start_thread(reader, NULL);
  usleep(1000);
  CHECK_RC(pthread_cancel(waiting), 0);
  CHECK(join_thread(waiting) == PTHREAD_CANCELED);
  // One of them gets a signal, and all are cancelled, also who just lost the race for it.
  for (int i = 0; i < kRounds; ++i) {
    for (int k = 0; k < kReaders; ++k) t[k] = start_thread(reader, NULL);
    usleep(100);
    atomic_store(&g_seen[0], 0);
    CHECK_OK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 0}));
    for (volatile int n = 0; n < i % 100 * 500; ++n) {
    }
    for (int k = 0; k < kReaders; ++k) CHECK_RC(pthread_cancel(t[k]), 0);
    for (int k = 0; k < kReaders; ++k) CHECK(join_thread(t[k]) == PTHREAD_CANCELED);
    struct timespec zero = {0, 0};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigtimedwait(&set, NULL, &zero);  // if none had it; natively a cancellation may also lose it (glibc's bug 12683)
  }
  CHECK_OK(close(g_fd));
}

static void end_soon(void) {
  usleep(1000);
  _exit(7);
}

static void* child(void* arg) {
  struct signalfd_siginfo info;
  pid_t pid = fork_child(end_soon);
  CHECK_EQ(read(g_fd, &info, sizeof info), (int)sizeof info);
  CHECK_EQ(info.ssi_signo, SIGCHLD);
  CHECK_EQ(info.ssi_pid, pid);
  CHECK_EQ(info.ssi_status, 7);
  CHECK_EQ(WEXITSTATUS(wait_status(pid)), 7);
  return arg;
}

int main(void) {
  g_main = pthread_self();
  CHECK_OK(sem_init(&g_begun, 0, 0));
  CHECK_OK(sem_init(&g_read, 0, 0));
  struct sigaction action = {.sa_handler = on_other, .sa_flags = SA_RESTART};
  CHECK_OK(sigaction(SIGUSR2, &action, NULL));
  mains_own(1);
  mains_own(0);
  shared();
  g_fd = signals(SIGCHLD);
  join_thread(start_thread(child, NULL));
  child(NULL);
  return 0;
}
