// sigwait(3), sigwaitinfo(2) and sigtimedwait(2) with the signals blocked everywhere: on main and on a worker, while others run; by
// kill, and by pthread_kill at main; the time-out; the value that sigqueue sends. A handler that runs within a wait for others waits by itself, without
// computing meanwhile, though one that is awaited has come; and what was left by a jump awaits nothing.
#include "../check.h"

#include <semaphore.h>
#include <setjmp.h>
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

static sem_t g_in_handler, g_go_on;
static sigjmp_buf g_left;

static void on_alarm(int signal) {
  int saved = errno;
  CHECK_OK(sem_post(&g_in_handler));
  while (sem_wait(&g_go_on)) CHECK_EQ(errno, EINTR);
  errno = saved;
  if (signal == SIGVTALRM) siglongjmp(g_left, 1);
}

static void* interrupted(void* arg) {
  int signal = 0;
  do signal = sigwaitinfo(&g_set, NULL);
  while (signal == -1 && errno == EINTR);
  CHECK_EQ(signal, SIGUSR1);
  if (sigsetjmp(g_left, 1) == 0) {
    CHECK_OK(sem_post(&g_in_handler));
    sigwaitinfo(&g_set, NULL);
    check_fail(__FILE__, __LINE__, errno, "the call is left by a jump");
  }
  CHECK_OK(sem_post(&g_in_handler));
  while (sem_wait(&g_go_on)) CHECK_EQ(errno, EINTR);
  return arg;
}

static long long cpu_us(clockid_t clock) {
  struct timespec t;
  CHECK_OK(clock_gettime(clock, &t));
  return (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

// Waits in its handler, or behind the jump, while a signal comes that it awaited.
static void computes_not(pthread_t thread, clockid_t clock) {
  while (sem_wait(&g_in_handler)) CHECK_EQ(errno, EINTR);
  CHECK_RC(pthread_kill(thread, SIGUSR1), 0);
  long long before = cpu_us(clock);
  CHECK_OK(usleep(60000));
  CHECK(cpu_us(clock) - before < 20000);
  CHECK_OK(sem_post(&g_go_on));
}

static void handlers_within(void) {
  clockid_t clock;
  CHECK_OK(sem_init(&g_in_handler, 0, 0));
  CHECK_OK(sem_init(&g_go_on, 0, 0));
  struct sigaction action = {.sa_handler = on_alarm};
  CHECK_OK(sigaction(SIGALRM, &action, NULL));
  CHECK_OK(sigaction(SIGVTALRM, &action, NULL));
  pthread_t thread = start_thread(interrupted, NULL);
  CHECK_RC(pthread_getcpuclockid(thread, &clock), 0);
  CHECK_RC(pthread_kill(thread, SIGALRM), 0);
  computes_not(thread, clock);
  while (sem_wait(&g_in_handler)) CHECK_EQ(errno, EINTR);
  CHECK_OK(usleep(1000));  // it waits, most likely
  CHECK_RC(pthread_kill(thread, SIGVTALRM), 0);
  while (sem_wait(&g_in_handler)) CHECK_EQ(errno, EINTR);
  CHECK_OK(sem_post(&g_go_on));
  computes_not(thread, clock);
  join_thread(thread);
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
  handlers_within();
  return 0;
}
