// No call ends with EINTR unless a handler has run since it began: neither one that waits nor one that only looks, of libc's or by a system call
// instruction of the program's own, while threads are sent signals, which their handlers may take between two calls, and others compute beside them.
#include "../check.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>

enum { kTargets = 3, kRounds = 1500, kWays = 10 };

typedef struct {
  pthread_t thread;
  atomic_int handled, over;
} Target;
static Target g_targets[kTargets + 1];  // the last one is main
static __thread Target* t_me;
static atomic_int g_left, g_ready;
static int g_pipe[2], g_epoll;

static void on_signal(int signal) {
  CHECK_EQ(signal, SIGUSR1);
  atomic_fetch_add(&t_me->handled, 1);
}

__attribute__((always_inline)) static inline long own_call(long number, long a, long b, long c) {
  long r = number;
  register long d __asm__("r10") = 0;
  __asm__ volatile("syscall" : "+a"(r) : "D"(a), "S"(b), "d"(c), "r"(d) : "rcx", "r11", "memory");
  if (r >= 0) return r;
  errno = (int)-r;
  return -1;
}

static long call(int way) {
  struct pollfd p = {g_pipe[0], POLLIN, 0}, two[2] = {p, p};
  struct timespec none = {0, 0}, brief = {0, 50000};
  struct timeval never = {0, 0};
  struct epoll_event event;
  fd_set set;
  FD_ZERO(&set);
  FD_SET(g_pipe[0], &set);
  switch (way) {
    case 0: return poll(&p, 1, 0);
    case 1: return poll(two, 2, 1);
    case 2: return ppoll(&p, 1, &brief, NULL);
    case 3: return select(g_pipe[0] + 1, &set, NULL, NULL, &never);
    case 4: return epoll_wait(g_epoll, &event, 1, 0);
    case 5: return nanosleep(&brief, NULL);
    case 6: return own_call(SYS_poll, (long)&p, 1, 0);
    case 7: return own_call(SYS_ppoll, (long)two, 2, (long)&none);
    case 8: return own_call(SYS_nanosleep, (long)&brief, 0, 0);
    default: return own_call(SYS_poll, 0, 0, 1);
  }
}

static void* calls(void* arg) {
  t_me = arg;
  atomic_fetch_add(&g_ready, 1);
  for (int i = 0; i < kRounds; ++i) {
    int before = atomic_load(&t_me->handled);
    long r = call(i % kWays);
    int e = errno;
    if (r == 0) continue;
    if (e != EINTR) check_fail(__FILE__, __LINE__, e, "call %d: %ld", i % kWays, r);
    if (atomic_load(&t_me->handled) == before) check_fail(__FILE__, __LINE__, e, "call %d ends for no handler", i % kWays);
  }
  atomic_fetch_sub(&g_left, 1);
  while (!atomic_load(&t_me->over)) sched_yield();
  return NULL;
}

static void* signals(void* arg) {
  while (atomic_load(&g_ready) <= kTargets) sched_yield();
  while (atomic_load(&g_left)) {
    for (int i = 0; i <= kTargets; ++i) {
      Target* t = &g_targets[i];
      int before = atomic_load(&t->handled);
      CHECK_RC(pthread_kill(t->thread, SIGUSR1), 0);
      while (atomic_load(&t->handled) == before) sched_yield();
    }
  }
  for (int i = 0; i <= kTargets; ++i) atomic_store(&g_targets[i].over, 1);
  return arg;
}

static void* computes(void* arg) {
  while (atomic_load(&g_left))
    for (volatile int i = 0; i < 100000; ++i) {}
  return arg;
}

int main(void) {
  struct epoll_event event = {.events = EPOLLIN};
  CHECK_OK(pipe(g_pipe));
  CHECK_OK(g_epoll = epoll_create1(0));
  CHECK_OK(epoll_ctl(g_epoll, EPOLL_CTL_ADD, g_pipe[0], &event));
  for (int flags = 0; flags < 2; ++flags) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags ? SA_RESTART : 0};
    CHECK_OK(sigaction(SIGUSR1, &action, NULL));
    atomic_store(&g_left, kTargets + 1);
    atomic_store(&g_ready, 0);
    for (int i = 0; i <= kTargets; ++i) atomic_store(&g_targets[i].over, 0);
    g_targets[kTargets].thread = pthread_self();
    for (int i = 0; i < kTargets; ++i) g_targets[i].thread = start_thread(calls, &g_targets[i]);
    pthread_t signaller = start_thread(signals, NULL), computing = start_thread(computes, NULL);
    calls(&g_targets[kTargets]);
    for (int i = 0; i < kTargets; ++i) join_thread(g_targets[i].thread);
    join_thread(signaller);
    join_thread(computing);
  }
  return 0;
}
