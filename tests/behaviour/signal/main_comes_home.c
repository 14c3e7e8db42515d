// A handler of main's waits for the thread that sent its signal, by sched_yield and by computing, while main comes back from calls that only the kernel
// knows how to wait in, or has its turn taken away. (With VTSHIM_TLS=swap, where both have one OS thread, the handler kept it for ever.)
#include "../check.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ipc.h>
#include <sys/sem.h>

enum { kRounds = 48 };

static pthread_t g_main;
static int g_sem = -1;
static atomic_int g_inside, g_answered, g_handled, g_done;

static void remove_sem(void) {
  if (g_sem != -1) semctl(g_sem, 0, IPC_RMID);
}

static long long now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
static void compute(long long us) {
  for (long long end = now_us() + us; now_us() < end;) {
  }
}

static void on_signal(int signal) {
  (void)signal;
  int saved = errno;
  CHECK(pthread_equal(pthread_self(), g_main));
  atomic_store(&g_inside, 1);
  while (!atomic_load(&g_answered))
    if (atomic_load(&g_handled) % 2) sched_yield();
  atomic_fetch_add(&g_handled, 1);
  errno = saved;
}

static void* sender(void* arg) {
  for (int i = 0; i < kRounds; ++i) {
    compute(i % 8 * 200);  // main's call has ended meanwhile, or hasn't
    atomic_store(&g_inside, 0);
    atomic_store(&g_answered, 0);
    CHECK_RC(pthread_kill(g_main, SIGUSR1), 0);
    while (!atomic_load(&g_inside)) sched_yield();
    atomic_store(&g_answered, 1);
    while (atomic_load(&g_handled) <= i) sched_yield();
  }
  atomic_store(&g_done, 1);
  return arg;
}

int main(void) {
  g_main = pthread_self();
  CHECK_OK(g_sem = semget(IPC_PRIVATE, 1, 0600));
  atexit(remove_sem);
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  pthread_t t = start_thread(sender, NULL);
  struct sembuf down = {0, -1, 0};
  struct timespec soon = {0, 500000};
  while (!atomic_load(&g_done)) CHECK_ERR(semtimedop(g_sem, &down, 1, &soon), errno == EINTR ? EINTR : EAGAIN);
  join_thread(t);
  CHECK_EQ(g_handled, kRounds);
  return 0;
}
