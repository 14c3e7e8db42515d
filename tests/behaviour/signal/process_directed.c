// A signal of the process goes to a thread that doesn't block it: here main blocks it, and one of the others doesn't, from the start, by
// pthread_sigmask, or in sigsuspend, ppoll or sigtimedwait. While all block it, it stays pending.
#include "../check.h"

#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

static pthread_t g_taker;
static atomic_int g_ran, g_wrong;
static sem_t g_ready, g_go, g_end;
static __thread int t_is_taker;

static void on_signal(int signal, siginfo_t* info, void* context) {
  (void)context;
  if (!t_is_taker || info->si_pid != getpid() || (signal == SIGRTMIN && info->si_value.sival_int != 42)) atomic_fetch_add(&g_wrong, 1);
  atomic_fetch_add(&g_ran, 1);
}

static void mask(int how, int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  CHECK_RC(pthread_sigmask(how, &set, NULL), 0);
}

static void* bystander(void* arg) {  // blocks all, as main
  while (sem_wait(&g_end) != 0) CHECK_EQ(errno, EINTR);
  return arg;
}

static void* taker(void* arg) {
  (void)arg;
  g_taker = pthread_self();
  t_is_taker = 1;
  sigset_t none, usr1;
  sigemptyset(&none);
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  // Unblocked, computing and waiting
  mask(SIG_UNBLOCK, SIGUSR1);
  for (int i = 0; i < 20; ++i) {
    int before = atomic_load(&g_ran);
    CHECK_OK(sem_post(&g_ready));
    if (i % 2) while (atomic_load(&g_ran) == before) {}
    else while (atomic_load(&g_ran) == before) usleep(500);
  }
  // Pending till it is unblocked
  mask(SIG_BLOCK, SIGUSR1);
  CHECK_OK(sem_post(&g_ready));
  while (sem_wait(&g_go) != 0) CHECK_EQ(errno, EINTR);
  CHECK_EQ(atomic_load(&g_ran), 20);
  sigset_t pending;
  do CHECK_OK(sigpending(&pending)); while (!sigismember(&pending, SIGUSR1));
  mask(SIG_UNBLOCK, SIGUSR1);
  while (atomic_load(&g_ran) < 21) usleep(100);
  mask(SIG_BLOCK, SIGUSR1);
  CHECK_OK(sem_post(&g_ready));
  CHECK_ERR(sigsuspend(&none), EINTR);
  CHECK_EQ(atomic_load(&g_ran), 22);
  CHECK_OK(sem_post(&g_ready));
  CHECK_ERR(ppoll(NULL, 0, NULL, &none), EINTR);
  CHECK_EQ(atomic_load(&g_ran), 23);
  CHECK_OK(sem_post(&g_ready));
  siginfo_t info;
  CHECK_EQ(sigwaitinfo(&usr1, &info), SIGUSR1);
  CHECK_EQ(info.si_pid, getpid());
  CHECK_EQ(atomic_load(&g_ran), 23);
  mask(SIG_UNBLOCK, SIGRTMIN);
  CHECK_OK(sem_post(&g_ready));
  while (atomic_load(&g_ran) < 24) usleep(100);
  CHECK_OK(sem_post(&g_ready));
  return NULL;
}

int main(void) {
  CHECK_OK(sem_init(&g_ready, 0, 0));
  CHECK_OK(sem_init(&g_go, 0, 0));
  CHECK_OK(sem_init(&g_end, 0, 0));
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  CHECK_OK(sigaction(SIGRTMIN, &action, NULL));
  mask(SIG_BLOCK, SIGUSR1);
  mask(SIG_BLOCK, SIGRTMIN);
  pthread_t others[3];
  for (int i = 0; i < 3; ++i) others[i] = start_thread(bystander, NULL);
  pthread_t t = start_thread(taker, NULL);
  for (int i = 0; i < 20; ++i) {
    CHECK_OK(sem_wait(&g_ready));
    CHECK_OK(kill(getpid(), SIGUSR1));
  }
  CHECK_OK(sem_wait(&g_ready));
  CHECK_OK(kill(getpid(), SIGUSR1));
  CHECK_OK(sem_post(&g_go));
  for (int i = 0; i < 3; ++i) {
    CHECK_OK(sem_wait(&g_ready));
    CHECK_OK(kill(getpid(), SIGUSR1));
  }
  CHECK_OK(sem_wait(&g_ready));
  CHECK_OK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 42}));
  CHECK_OK(sem_wait(&g_ready));
  join_thread(t);
  for (int i = 0; i < 3; ++i) CHECK_OK(sem_post(&g_end));
  for (int i = 0; i < 3; ++i) join_thread(others[i]);
  CHECK_EQ(atomic_load(&g_wrong), 0);
  return 0;
}
