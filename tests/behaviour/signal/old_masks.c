// sigblock, sigsetmask, sighold, sigrelse, sigset, sigpause, tgkill on a thread other than main, and ucontext coroutines that move between
// threads: each thread's mask stays its own, and Ctrl-C still reaches main.
#include "../check.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <ucontext.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static __thread volatile sig_atomic_t t_ran;
static atomic_int g_main_ran;
static pthread_t g_main;
static void on_signal(int signal) {
  (void)signal;
  ++t_ran;
}
static void on_int(int signal) {
  (void)signal;
  CHECK(pthread_equal(pthread_self(), g_main));
  atomic_fetch_add(&g_main_ran, 1);
}
static int is_blocked(int signal) {
  sigset_t now;
  CHECK_RC(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
  return sigismember(&now, signal);
}

static __thread ucontext_t t_home;
static ucontext_t g_coroutine;
static char g_stack[256 << 10];
static void coroutine(void) {
  for (;;) swapcontext(&g_coroutine, &t_home);
}

static void* old_ways(void* arg) {
  CHECK_EQ(siggetmask(), 0);
  CHECK_EQ(sigblock(1 << (SIGUSR1 - 1)), 0);
  CHECK(is_blocked(SIGUSR1));
  CHECK_OK(raise(SIGUSR1));
  CHECK_EQ(t_ran, 0);
  CHECK_EQ(sigsetmask(0), 1 << (SIGUSR1 - 1));
  CHECK_EQ(t_ran, 1);
  CHECK_OK(sighold(SIGUSR2));
  CHECK(is_blocked(SIGUSR2));
  CHECK(sigset(SIGUSR2, on_signal) == SIG_HOLD);
  CHECK(!is_blocked(SIGUSR2));
  CHECK_OK(tgkill(getpid(), gettid(), SIGUSR2));
  CHECK_EQ(t_ran, 2);
  CHECK(sigset(SIGUSR2, SIG_HOLD) == on_signal);
  CHECK_OK(tgkill(getpid(), gettid(), SIGUSR2));
  CHECK_EQ(t_ran, 2);
  CHECK_OK(sigrelse(SIGUSR2));
  CHECK_EQ(t_ran, 3);
  CHECK_OK(sighold(SIGUSR1));
  CHECK_OK(raise(SIGUSR1));
  CHECK_ERR(sigpause(SIGUSR1), EINTR);
  CHECK_EQ(t_ran, 4);
  CHECK(is_blocked(SIGUSR1));
  CHECK_OK(sigrelse(SIGUSR1));
  CHECK_ERR(tgkill(getpid(), gettid(), 65), EINVAL);
  CHECK_ERR(tgkill(getpid(), 0x7ffffff0, 0), ESRCH);
  for (int i = 0; i < 200; ++i) {
    swapcontext(&t_home, &g_coroutine);
    usleep(0);
  }
  return arg;
}

int main(void) {
  g_main = pthread_self();
  struct sigaction action = {.sa_handler = on_signal}, interrupt = {.sa_handler = on_int};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  CHECK_OK(sigaction(SIGINT, &interrupt, NULL));
  CHECK_OK(getcontext(&g_coroutine));
  g_coroutine.uc_stack.ss_sp = g_stack;
  g_coroutine.uc_stack.ss_size = sizeof g_stack;
  makecontext(&g_coroutine, coroutine, 0);
  for (int i = 0; i < 3; ++i) join_thread(start_thread(old_ways, NULL));
  for (int i = 1; i <= 10; ++i) {
    CHECK_OK(kill(getpid(), SIGINT));
    CHECK_EQ(atomic_load(&g_main_ran), i);
  }
  return 0;
}
