// vfork(2), pthread_sigmask(3): the child's signals are its own, though its memory is the parent's: what it unblocks, and what is pending, doesn't
// concern the parent thread, nor does its exec; and a signal that is sent to the parent meanwhile is there when vfork returns.
#include "../check.h"

#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { kRounds = 4, kLimitMs = 5000, kChildMs = 200 };

static _Thread_local volatile int t_handled;
static int g_here[2], g_go[2];
static sem_t* g_shared;

static void on_signal(int signal) {
  (void)signal;
  ++t_handled;
}

static sigset_t set_of(int a, int b) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, a);
  sigaddset(&set, b);
  return set;
}

__attribute__((noinline)) static pid_t child_unblocks(const sigset_t* set, volatile int* handled, volatile int* pending) {
  pid_t pid = vfork();
  if (pid == 0) {
    sigset_t all;
    *pending = sigpending(&all) == 0 && sigismember(&all, SIGUSR1);
    pthread_sigmask(SIG_UNBLOCK, set, NULL);
    *handled = t_handled;
    pthread_kill(pthread_self(), SIGUSR1);  // its own
    _exit(t_handled - *handled);
  }
  return pid;
}

static void own_signals(void) {
  sigset_t set = set_of(SIGUSR1, SIGPIPE), before, now;
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, &before), 0);
  CHECK_RC(pthread_kill(pthread_self(), SIGUSR1), 0);
  volatile int handled = -1, pending = -1;
  pid_t pid = child_unblocks(&set, &handled, &pending);
  CHECK_OK(pid);
  CHECK_EQ(pending, 0);
  CHECK_EQ(handled, 0);
  CHECK_CHILD_EXITS(pid, 1);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
  CHECK(sigismember(&now, SIGUSR1) && sigismember(&now, SIGPIPE));
  CHECK_OK(sigpending(&now));
  CHECK(sigismember(&now, SIGUSR1));
  CHECK_EQ(t_handled, 1);  // the child's raise, in our memory
  CHECK_RC(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
  CHECK_EQ(t_handled, 2);
  int broken[2];
  CHECK_OK(pipe(broken));
  CHECK_OK(close(broken[0]));
  CHECK_ERR(write(broken[1], "x", 1), EPIPE);
  CHECK_EQ(t_handled, 3);
  CHECK_OK(close(broken[1]));
  t_handled = 0;
}

// Its child tells that it is there, and waits a while for the parent thread to be sent a signal.
static void* send_signal(void* arg) {
  char byte;
  CHECK_EQ(read(g_here[0], &byte, 1), 1);
  CHECK_RC(pthread_kill(*(pthread_t*)arg, SIGUSR1), 0);
  CHECK_EQ(write(g_go[1], "x", 1), 1);
  return NULL;
}

__attribute__((noinline)) static pid_t child_waits(void) {
  pid_t pid = vfork();
  if (pid == 0) {
    struct pollfd go = {g_go[0], POLLIN, 0};
    _exit(write(g_here[1], "x", 1) == 1 && poll(&go, 1, kChildMs) >= 0 ? 0 : 1);
  }
  return pid;
}

static void sent_meanwhile(void) {
  pthread_t me = pthread_self(), sender = start_thread(send_signal, &me);
  pid_t pid = child_waits();
  CHECK_OK(pid);
  for (long long end = now_ms() + kLimitMs; t_handled == 0;) CHECK(now_ms() < end);
  CHECK_EQ(t_handled, 1);
  t_handled = 0;
  join_thread(sender);
  char byte;
  CHECK_EQ(read(g_go[0], &byte, 1), 1);
  CHECK_CHILD_EXITS(pid, 0);
}

__attribute__((noinline)) static pid_t start_true(void) {
  char* argv[] = {(char*)"true", NULL};
  char* env[] = {NULL};
  pid_t pid = vfork();
  if (pid == 0) {
    execve("/bin/true", argv, env);
    _exit(126);
  }
  return pid;
}

// After its children's exec the thread is as free as before: main runs while it waits in libc's own sem_wait.
static void* wait_for_main(void* arg) {
  for (int i = 0; i < kRounds; ++i) {
    pid_t pid = start_true();
    CHECK_OK(pid);
    CHECK_CHILD_EXITS(pid, 0);
  }
  CHECK_OK(sem_wait(g_shared));
  return arg;
}

static void* run(void* arg) {
  for (int i = 0; i < kRounds; ++i) {
    own_signals();
    sent_meanwhile();
  }
  return arg;
}

int main(void) {
  struct sigaction action = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  CHECK_OK(sigaction(SIGPIPE, &action, NULL));
  CHECK_OK(pipe(g_here));
  CHECK_OK(pipe(g_go));
  g_shared = mmap(NULL, sizeof *g_shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(g_shared != MAP_FAILED);
  CHECK_OK(sem_init(g_shared, 1, 0));
  own_signals();
  join_thread(start_thread(run, NULL));
  run(NULL);
  pthread_t waiter = start_thread(wait_for_main, NULL);
  sleep_ms(100);
  CHECK_OK(sem_post(g_shared));
  join_thread(waiter);
  return 0;
}
