// pthread_kill and pthread_sigqueue to threads: the handler runs on the thread that was meant, wherever it is (parked in any wait, computing, in
// a system call of its own), and the wait goes on; a blocked signal stays pending until it is unblocked or taken by sigtimedwait.
#include "../check.h"

#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>

static __thread int t_index = -1;
static __thread volatile sig_atomic_t t_ran;
static atomic_int g_ran[16], g_values, g_order[8], g_ordered;
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER, g_other = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t g_rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t g_sem, g_ready;
static int g_pipe[2], g_raw[2];
static atomic_int g_stop, g_flag;

static void on_signal(int signal, siginfo_t* info, void* context) {
  CHECK_EQ(signal, SIGUSR1);
  CHECK(info && context);
  CHECK_EQ(info->si_code, SI_TKILL);
  CHECK_EQ(info->si_pid, getpid());
  CHECK(t_index >= 0);
  ++t_ran;
  atomic_fetch_add(&g_ran[t_index], 1);
}

enum { kMutex, kCond, kRdlock, kWrlock, kJoin, kSem, kRead, kSleep, kCompute, kRawRead, kYield, kKinds };

static void* sleeper(void* arg) {
  while (!atomic_load(&g_stop)) usleep(1000);
  return arg;
}

static void* waiter(void* arg) {
  t_index = (int)(long)arg;
  char byte;
  pthread_t other = pthread_self();
  if (t_index == kJoin) other = start_thread(sleeper, NULL);
  CHECK_OK(sem_post(&g_ready));
  switch (t_index) {
    case kMutex: CHECK_RC(pthread_mutex_lock(&g_mutex), 0); CHECK_RC(pthread_mutex_unlock(&g_mutex), 0); break;
    case kCond:
      CHECK_RC(pthread_mutex_lock(&g_other), 0);
      while (!atomic_load(&g_flag)) CHECK_RC(pthread_cond_wait(&g_cond, &g_other), 0);
      CHECK_RC(pthread_mutex_unlock(&g_other), 0);
      break;
    case kRdlock: CHECK_RC(pthread_rwlock_rdlock(&g_rwlock), 0); CHECK_RC(pthread_rwlock_unlock(&g_rwlock), 0); break;
    case kWrlock: CHECK_RC(pthread_rwlock_wrlock(&g_rwlock), 0); CHECK_RC(pthread_rwlock_unlock(&g_rwlock), 0); break;
    case kJoin: join_thread(other); break;
    case kSem: CHECK_OK(sem_wait(&g_sem)); break;
    case kRead: CHECK_EQ(read(g_pipe[0], &byte, 1), 1); break;
    case kSleep: while (!atomic_load(&g_stop)) usleep(100000); break;
    case kCompute: while (!atomic_load_explicit(&g_stop, memory_order_relaxed)) {} break;
    case kYield: while (!atomic_load(&g_stop)) sched_yield(); break;
    case kRawRead: {
      long r = SYS_read;
      asm volatile("syscall" : "+a"(r) : "D"((long)g_raw[0]), "S"(&byte), "d"(1l) : "rcx", "r11", "memory");
      CHECK_EQ(r, 1);
      break;
    }
  }
  CHECK(t_ran >= 20);
  return arg;
}

static void everywhere(void) {
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_RESTART | SA_SIGINFO};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  pthread_t threads[kKinds];
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  CHECK_RC(pthread_rwlock_wrlock(&g_rwlock), 0);
  for (long i = 0; i < kKinds; ++i) threads[i] = start_thread(waiter, (void*)i);
  for (int i = 0; i < kKinds; ++i) CHECK_OK(sem_wait(&g_ready));
  for (int round = 0; round < 20; ++round)
    for (int i = 0; i < kKinds; ++i) {
      int before = atomic_load(&g_ran[i]);
      CHECK_RC(pthread_kill(threads[i], SIGUSR1), 0);
      while (atomic_load(&g_ran[i]) == before) usleep(100);
    }
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  CHECK_RC(pthread_rwlock_unlock(&g_rwlock), 0);
  CHECK_RC(pthread_mutex_lock(&g_other), 0);
  atomic_store(&g_flag, 1);
  CHECK_RC(pthread_cond_signal(&g_cond), 0);
  CHECK_RC(pthread_mutex_unlock(&g_other), 0);
  CHECK_OK(sem_post(&g_sem));
  CHECK_EQ(write(g_pipe[1], "x", 1), 1);
  CHECK_EQ(write(g_raw[1], "x", 1), 1);
  atomic_store(&g_stop, 1);
  for (int i = 0; i < kKinds; ++i) join_thread(threads[i]);
}

// ---- queued values, order, masks

static void on_value(int signal, siginfo_t* info, void* context) {
  (void)context;
  CHECK_EQ(info->si_code, SI_QUEUE);
  if (signal == SIGRTMIN + 1) atomic_fetch_add(&g_values, info->si_value.sival_int);
  int n = atomic_fetch_add(&g_ordered, 1);
  if (n < 8) atomic_store(&g_order[n], signal * 100 + info->si_value.sival_int);
}

static void* masks(void* arg) {
  sigset_t all, none, pending, usr2, old;
  sigfillset(&all);
  sigemptyset(&none);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &all, &old), 0);
  CHECK_EQ(sigismember(&old, SIGUSR1), 0);
  CHECK_OK(sem_post(&g_ready));
  CHECK_OK(sem_wait(&g_sem));  // meanwhile main sends
  CHECK_EQ(atomic_load(&g_ordered), 0);
  CHECK_OK(sigpending(&pending));
  CHECK_EQ(sigismember(&pending, SIGRTMIN + 1), 1);
  CHECK_EQ(sigismember(&pending, SIGUSR2), 1);
  CHECK_EQ(sigismember(&pending, SIGHUP), 0);
  sigemptyset(&usr2);
  sigaddset(&usr2, SIGUSR2);
  siginfo_t info;
  struct timespec zero = {0, 0}, hour = {3600, 0};
  CHECK_EQ(sigtimedwait(&usr2, &info, &zero), SIGUSR2);  // it was sent twice, and is pending once
  CHECK_EQ(info.si_signo, SIGUSR2);
  CHECK_ERR(sigtimedwait(&usr2, &info, &zero), EAGAIN);
  CHECK_RC(pthread_sigmask(SIG_SETMASK, &none, NULL), 0);
  // All of the queued ones, lowest number first, in the order of sending, before it returned.
  CHECK_EQ(atomic_load(&g_ordered), 4);
  CHECK_EQ(atomic_load(&g_order[0]), (SIGRTMIN + 1) * 100 + 1);
  CHECK_EQ(atomic_load(&g_order[1]), (SIGRTMIN + 1) * 100 + 2);
  CHECK_EQ(atomic_load(&g_order[2]), (SIGRTMIN + 1) * 100 + 3);
  CHECK_EQ(atomic_load(&g_order[3]), (SIGRTMIN + 2) * 100 + 4);
  // Waited for while nothing is there yet.
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &usr2, NULL), 0);
  CHECK_OK(sem_post(&g_ready));
  CHECK_EQ(sigtimedwait(&usr2, &info, &hour), SIGUSR2);
  CHECK_OK(sem_post(&g_ready));
  int signal = 0;
  CHECK_RC(sigwait(&usr2, &signal), 0);
  CHECK_EQ(signal, SIGUSR2);
  // To itself: before it returns.
  int before = atomic_load(&g_values);
  CHECK_RC(pthread_sigqueue(pthread_self(), SIGRTMIN + 1, (union sigval){.sival_int = 5}), 0);
  CHECK_EQ(atomic_load(&g_values), before + 5);
  return arg;
}

static void queued(void) {
  struct sigaction action = {.sa_sigaction = on_value, .sa_flags = SA_RESTART | SA_SIGINFO};
  sigfillset(&action.sa_mask);
  CHECK_OK(sigaction(SIGRTMIN + 1, &action, NULL));
  CHECK_OK(sigaction(SIGRTMIN + 2, &action, NULL));
  CHECK_OK(sigaction(SIGUSR2, &action, NULL));
  pthread_t t = start_thread(masks, NULL);
  CHECK_OK(sem_wait(&g_ready));
  CHECK_RC(pthread_sigqueue(t, SIGRTMIN + 2, (union sigval){.sival_int = 4}), 0);
  for (int i = 1; i <= 3; ++i) CHECK_RC(pthread_sigqueue(t, SIGRTMIN + 1, (union sigval){.sival_int = i}), 0);
  CHECK_RC(pthread_kill(t, SIGUSR2), 0);
  CHECK_RC(pthread_kill(t, SIGUSR2), 0);
  CHECK_OK(sem_post(&g_sem));
  for (int i = 0; i < 2; ++i) {
    CHECK_OK(sem_wait(&g_ready));
    CHECK_RC(pthread_kill(t, SIGUSR2), 0);
  }
  join_thread(t);
  CHECK_RC(pthread_kill(pthread_self(), 0), 0);
  CHECK_RC(pthread_kill(pthread_self(), 65), EINVAL);
}

// ---- a default action takes the process; ignored signals are dropped

static void* idles(void* arg) {
  for (;;) pause();
  return arg;
}
static void killed(void) {
  struct sigaction ignore = {.sa_handler = SIG_IGN};
  CHECK_OK(sigaction(SIGHUP, &ignore, NULL));
  pthread_t t = start_thread(idles, NULL);
  CHECK_RC(pthread_kill(t, SIGHUP), 0);
  CHECK_RC(pthread_kill(t, SIGCHLD), 0);
  CHECK_RC(pthread_kill(t, SIGTERM), 0);
  for (;;) pause();
}

int main(void) {
  CHECK_OK(sem_init(&g_sem, 0, 0));
  CHECK_OK(sem_init(&g_ready, 0, 0));
  CHECK_OK(pipe(g_pipe));
  CHECK_OK(pipe(g_raw));
  everywhere();
  queued();
  int status = wait_status(fork_child(killed));
  CHECK(WIFSIGNALED(status));
  CHECK_EQ(WTERMSIG(status), SIGTERM);
  return 0;
}
