// signal's other names: bsd_signal and ssignal restart calls and keep the handler, sysv_signal resets it; siginterrupt; sigaltstack's
// values. On main, while others run. signal(2), sysv_signal(3), siginterrupt(3), sigaltstack(2).
#define _DEFAULT_SOURCE
#include "../check.h"

#include <signal.h>
#include <stdatomic.h>

typedef void (*handler)(int);
handler bsd_signal(int, handler);
handler sysv_signal(int, handler);
handler __sysv_signal(int, handler);
int __sigsuspend(const sigset_t*);
int __sigaction(int, const struct sigaction*, struct sigaction*);
int __sigpause(int, int);
int __xpg_sigpause(int);

static atomic_int runs, over;
static void* stack_in_handler;
static void count(int signal) {
  int here = signal;
  stack_in_handler = &here;
  atomic_fetch_add(&runs, 1);
}
static void* other(void* arg) {
  while (!atomic_load(&over)) sched_yield();
  return arg;
}

static handler installed(int signal) {
  struct sigaction a;
  CHECK_OK(__sigaction(signal, NULL, &a));
  return a.sa_handler;
}

static void check(handler (*install)(int, handler), int stays) {
  struct sigaction a;
  atomic_store(&runs, 0);
  CHECK(install(SIGUSR1, count) == SIG_DFL);
  CHECK(installed(SIGUSR1) == count);
  CHECK_OK(sigaction(SIGUSR1, NULL, &a));
  CHECK_EQ((a.sa_flags & SA_RESTART) != 0, stays);
  CHECK_OK(raise(SIGUSR1));
  CHECK_EQ(atomic_load(&runs), 1);
  CHECK(installed(SIGUSR1) == (stays ? count : SIG_DFL));
  CHECK(install(SIGUSR1, SIG_DFL) == (stays ? count : SIG_DFL));
  errno = 0;
  CHECK(install(0, count) == SIG_ERR);
  CHECK_EQ(errno, EINVAL);
}

int main(void) {
  pthread_t thread = start_thread(other, NULL);
  check(signal, 1);
  check(bsd_signal, 1);
  check(ssignal, 1);
  check(sysv_signal, 0);
  check(__sysv_signal, 0);

  struct sigaction a;
  CHECK(signal(SIGUSR1, count) == SIG_DFL);
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  CHECK_OK(siginterrupt(SIGUSR1, 1));
  CHECK_OK(sigaction(SIGUSR1, NULL, &a));
  CHECK(!(a.sa_flags & SA_RESTART) && a.sa_handler == count);
  CHECK_OK(siginterrupt(SIGUSR1, 0));
  CHECK_OK(sigaction(SIGUSR1, NULL, &a));
  CHECK(a.sa_flags & SA_RESTART);
  CHECK_ERR(siginterrupt(0, 1), EINVAL);

  // Waits for a signal: each has one pending, which its mask lets in.
  sigset_t set, none;
  sigemptyset(&none);
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
  atomic_store(&runs, 0);
  for (int way = 0; way < 4; ++way) {
    CHECK_OK(gsignal(SIGUSR1));
    CHECK_EQ(atomic_load(&runs), way);
    errno = 0;
    int r = way == 0 ? __sigsuspend(&none) : way == 1 ? __sigpause(SIGUSR1, 1) : way == 2 ? __sigpause(0, 0) : __xpg_sigpause(SIGUSR1);
    CHECK(r == -1 && errno == EINTR);
    CHECK_EQ(atomic_load(&runs), way + 1);
  }
  CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
  CHECK_OK(sigignore(SIGUSR1));
  CHECK(installed(SIGUSR1) == SIG_IGN);

  static char room[65536];
  stack_t mine = {.ss_sp = room, .ss_size = sizeof room}, old, small = {.ss_sp = room, .ss_size = 100};
  CHECK_OK(sigaltstack(&mine, &old));
  CHECK(old.ss_flags & SS_DISABLE);
  CHECK_OK(sigaltstack(NULL, &old));
  CHECK(old.ss_sp == room && old.ss_size == sizeof room && !(old.ss_flags & SS_DISABLE));
  CHECK_ERR(sigaltstack(&small, NULL), ENOMEM);
  mine.ss_flags = SS_DISABLE;
  CHECK_OK(sigaltstack(&mine, NULL));
  CHECK_OK(sigaltstack(NULL, &old));
  CHECK(old.ss_flags & SS_DISABLE);
  atomic_store(&over, 1);
  join_thread(thread);
  return 0;
}
