// A handler of main's runs on top of a call that only the kernel knows how to wait in, and blocks a real-time signal meanwhile, which is sent
// more often than a runtime has room for. All come afterwards, in order. (It hung: the mark "some are still to be fetched" was taken for the next signal.)
#include "../check.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ipc.h>
#include <sys/resource.h>
#include <sys/sem.h>

enum { kMost = 2500, kRounds = 4 };

static pthread_t g_main;
static int g_sem = -1, g_number;
static atomic_int g_inside, g_sent;
static volatile sig_atomic_t g_next, g_wrong;

static void remove_sem(void) {
  if (g_sem != -1) semctl(g_sem, 0, IPC_RMID);
}

static void on_first(int signal) {
  (void)signal;
  int saved = errno;
  atomic_store(&g_inside, 1);
  while (!atomic_load(&g_sent)) sched_yield();
  CHECK_EQ(g_next, 0);
  errno = saved;
}

static void on_flood(int signal, siginfo_t* info, void* context) {
  (void)context;
  if (signal != SIGRTMIN || info->si_value.sival_int != g_next || !pthread_equal(pthread_self(), g_main)) g_wrong = 1;
  ++g_next;
}

static void* flooder(void* arg) {
  CHECK_RC(pthread_kill(g_main, SIGUSR1), 0);
  while (!atomic_load(&g_inside)) sched_yield();
  for (int i = 0; i < g_number; ++i) CHECK_RC(pthread_sigqueue(g_main, SIGRTMIN, (union sigval){.sival_int = i}), 0);
  atomic_store(&g_sent, 1);
  return arg;
}

// ---- and where all that a runtime has room for is another thread's, who blocks them

static atomic_int g_stop, g_ready;
static void* full(void* arg) {
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, SIGRTMIN + 1);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &one, NULL), 0);
  for (int i = 0; i < g_number && pthread_sigqueue(pthread_self(), SIGRTMIN + 1, (union sigval){0}) == 0; ++i) {
  }
  atomic_store(&g_ready, 1);
  while (!atomic_load(&g_stop)) usleep(1000);
  return arg;
}

static void* sends_one(void* arg) {
  usleep(20000);
  CHECK_RC(pthread_sigqueue(g_main, SIGRTMIN, (union sigval){.sival_int = 0}), 0);
  return arg;
}

static void no_room(void) {
  pthread_t busy = start_thread(full, NULL);
  while (!atomic_load(&g_ready)) usleep(1000);
  g_next = 0;
  pthread_t t = start_thread(sends_one, NULL);
  struct sembuf down = {0, -1, 0};
  struct timespec soon = {0, 100000000};
  while (!g_next) CHECK_ERR(semtimedop(g_sem, &down, 1, &soon), errno == EINTR ? EINTR : EAGAIN);
  join_thread(t);
  atomic_store(&g_stop, 1);
  join_thread(busy);
}

int main(void) {
  g_main = pthread_self();
  struct rlimit limit;
  CHECK_OK(getrlimit(RLIMIT_SIGPENDING, &limit));
  g_number = limit.rlim_cur / 2 < kMost ? (int)(limit.rlim_cur / 2) : kMost;  // the user's other programs have some, too
  CHECK_OK(g_sem = semget(IPC_PRIVATE, 1, 0600));
  atexit(remove_sem);
  struct sigaction first = {.sa_handler = on_first}, flood = {.sa_sigaction = on_flood, .sa_flags = SA_SIGINFO};
  sigaddset(&first.sa_mask, SIGRTMIN);
  CHECK_OK(sigaction(SIGUSR1, &first, NULL));
  CHECK_OK(sigaction(SIGRTMIN, &flood, NULL));
  for (int i = 0; i < kRounds; ++i) {
    g_next = 0;
    atomic_store(&g_inside, 0);
    atomic_store(&g_sent, 0);
    pthread_t t = start_thread(flooder, NULL);
    struct sembuf down = {0, -1, 0};
    struct timespec soon = {0, 100000000};  // the first signal may come between the look and the call
    while (!atomic_load(&g_sent)) CHECK_ERR(semtimedop(g_sem, &down, 1, &soon), errno == EINTR ? EINTR : EAGAIN);
    join_thread(t);
    CHECK_EQ(g_next, g_number);
    CHECK_EQ(g_wrong, 0);
  }
  no_room();
  return 0;
}
