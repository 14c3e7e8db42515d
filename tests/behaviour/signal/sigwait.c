// sigwait(3), sigwaitinfo(2) and sigtimedwait(2) with the signals blocked everywhere: on main and on a worker, while others run; by
// kill, and by pthread_kill at main; the time-out; the value that sigqueue sends.
#include "../check.h"

#include <signal.h>
#include <stdatomic.h>

static pthread_t g_main;
static sigset_t g_set;
static atomic_int g_turn;

static void await_turn(int turn) {
  while (atomic_load(&g_turn) != turn) sched_yield();
}

static void* sender(void* arg) {
  await_turn(1);
  CHECK_OK(kill(getpid(), SIGUSR1));
  await_turn(2);
  CHECK_RC(pthread_kill(g_main, SIGUSR2), 0);
  await_turn(3);
  CHECK_OK(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 42}));
  return arg;
}

static void* waiter(void* arg) {
  int signal = 0;
  CHECK_RC(sigwait(&g_set, &signal), 0);
  CHECK_EQ(signal, SIGHUP);
  return arg;
}

int main(void) {
  g_main = pthread_self();
  sigemptyset(&g_set);
  sigaddset(&g_set, SIGUSR1);
  sigaddset(&g_set, SIGUSR2);
  sigaddset(&g_set, SIGHUP);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &g_set, NULL), 0);
  pthread_t thread = start_thread(sender, NULL);
  int signal = 0;
  atomic_store(&g_turn, 1);
  CHECK_RC(sigwait(&g_set, &signal), 0);
  CHECK_EQ(signal, SIGUSR1);
  atomic_store(&g_turn, 2);
  siginfo_t info;
  CHECK_EQ(sigwaitinfo(&g_set, &info), SIGUSR2);
  CHECK_EQ(info.si_code, SI_USER);  // glibc makes it so of SI_TKILL
  struct timespec ten_ms = {0, 10000000}, bad = {0, 2000000000};
  long long start = now_ms();
  CHECK_ERR(sigtimedwait(&g_set, &info, &ten_ms), EAGAIN);
  CHECK(now_ms() - start >= 9);
  CHECK_ERR(sigtimedwait(&g_set, &info, &bad), EINVAL);
  atomic_store(&g_turn, 3);
  CHECK_EQ(sigwaitinfo(&g_set, &info), SIGUSR1);
  CHECK_EQ(info.si_value.sival_int, 42);
  join_thread(thread);
  thread = start_thread(waiter, NULL);
  CHECK_OK(kill(getpid(), SIGHUP));
  join_thread(thread);
  return 0;
}
