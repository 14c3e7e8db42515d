// Handlers on threads: SA_ONSTACK with a stack of the thread's own, SA_RESETHAND, SA_NODEFER and masks, blocking calls and other handlers inside a
// handler, siglongjmp out of one that interrupted a wait or a computation (the mask is restored), SIGSEGV caught and left by siglongjmp.
#include "../check.h"

#include <poll.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

static __thread char* t_stack;
static __thread size_t t_size;
static __thread volatile sig_atomic_t t_depth, t_deepest, t_ran;
static __thread sigjmp_buf t_jump;
static sem_t g_ready, g_go, g_inside, g_never;
static atomic_int g_reset;
static int g_pipe[2];

static int is_on(const void* p) { return (const char*)p >= t_stack && (const char*)p < t_stack + t_size; }

static void on_stack(int signal) {
  int here;
  int saved = errno;  // main signals until it is seen: one comes between a call's failure and the look at errno, too
  stack_t now;
  (void)signal;
  CHECK(is_on(&here));
  CHECK_OK(sigaltstack(NULL, &now));
  CHECK(now.ss_sp == t_stack);
  CHECK(now.ss_flags & SS_ONSTACK);
  CHECK_ERR(sigaltstack(&now, NULL), EPERM);
  usleep(1000);  // parks
  CHECK(is_on(&here));
  ++t_ran;
  errno = saved;
}
static void off_stack(int signal) {
  int here;
  (void)signal;
  CHECK(!is_on(&here));
  ++t_ran;
}
static void once(int signal) {
  struct sigaction now;
  CHECK_OK(sigaction(signal, NULL, &now));
  CHECK(now.sa_handler == SIG_DFL);
  atomic_fetch_add(&g_reset, 1);
}
static void nested(int signal) {
  ++t_depth;
  if (t_depth > t_deepest) t_deepest = t_depth;
  if (t_ran + t_depth < 3) CHECK_RC(pthread_kill(pthread_self(), signal), 0);
  --t_depth;
  ++t_ran;
}
static void jumps(int signal) {
  (void)signal;
  siglongjmp(t_jump, 7);
}
static void waits(int signal) {  // as a collector's stop-the-world handler
  int saved = errno;
  (void)signal;
  CHECK_OK(sem_post(&g_inside));
  sigset_t mask;
  sigfillset(&mask);
  sigdelset(&mask, SIGUSR2);
  CHECK_ERR(sigsuspend(&mask), EINTR);
  ++t_ran;
  errno = saved;
}
static void jumps_on_stack(int signal) {
  int here;
  stack_t now;
  CHECK(is_on(&here));
  CHECK_OK(sigaltstack(NULL, &now));
  CHECK(now.ss_sp == t_stack);
  jumps(signal);
}
static void nothing(int signal) { (void)signal; }

static void act(int signal, void (*handler)(int), int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  if (handler == waits) CHECK_OK(sigaddset(&action.sa_mask, SIGUSR2));  // taken in its sigsuspend, not before
  CHECK_OK(sigaction(signal, &action, NULL));
}
static int is_blocked(int signal) {
  sigset_t now;
  CHECK_RC(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
  return sigismember(&now, signal);
}

// A stage in which main signals this thread, as often as it takes to find it where it should be, ends: what came too late is dropped.
static atomic_int g_stage;
static void stage_ends(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
  atomic_fetch_add(&g_stage, 1);
  while (sem_wait(&g_go) != 0) CHECK_EQ(errno, EINTR);
  struct timespec zero = {0, 0};
  sigtimedwait(&set, NULL, &zero);
  CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
}
static void signal_stage(pthread_t thread, int stage) {
  while (sem_wait(&g_ready) != 0) CHECK_EQ(errno, EINTR);
  do {
    CHECK_RC(pthread_kill(thread, SIGUSR1), 0);
    usleep(2000);
  } while (atomic_load(&g_stage) == stage);
  CHECK_OK(sem_post(&g_go));
}

static void __attribute__((noinline)) jumps_out(volatile int of_what) {
  if (sigsetjmp(t_jump, 1) == 0) {
    CHECK(!is_blocked(SIGUSR1));
    CHECK(sem_post(&g_ready) == 0);
    char byte;
    if (of_what == 0) sem_wait(&g_never);
    if (of_what == 1) CHECK(read(g_pipe[0], &byte, 1) == 1);
    for (;;) {}
  }
  CHECK(!is_blocked(SIGUSR1));
  stage_ends();
}

static void __attribute__((noinline)) faults(void) {
  static char* hole;
  if (!hole) hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (sigsetjmp(t_jump, 1) == 0) {
    *(volatile char*)hole = 1;
    CHECK(!"got there");
  }
  CHECK(!is_blocked(SIGSEGV));
  usleep(0);
}

static void* runs(void* arg) {
  t_size = 64 << 10;
  t_stack = malloc(t_size);
  stack_t mine = {.ss_sp = t_stack, .ss_size = t_size}, old;
  CHECK_OK(sigaltstack(&mine, &old));
  CHECK(old.ss_flags & SS_DISABLE);
  // Each to itself, then from main while parked.
  act(SIGUSR1, on_stack, SA_ONSTACK);
  CHECK_RC(pthread_kill(pthread_self(), SIGUSR1), 0);
  CHECK_EQ(t_ran, 1);
  CHECK_OK(sem_post(&g_ready));
  CHECK_ERR(sem_wait(&g_never), EINTR);
  stage_ends();
  CHECK(t_ran >= 2);
  t_ran = 2;
  act(SIGUSR1, off_stack, 0);
  CHECK(raise(SIGUSR1) == 0);
  CHECK_EQ(t_ran, 3);
  act(SIGUSR1, once, SA_RESETHAND);
  CHECK(raise(SIGUSR1) == 0);
  CHECK_EQ(atomic_load(&g_reset), 1);
  t_ran = 0;
  act(SIGUSR1, nested, 0);  // blocked while it runs: one after the other
  CHECK(raise(SIGUSR1) == 0);
  CHECK_EQ(t_ran, 3);
  CHECK_EQ(t_deepest, 1);
  t_ran = 0;
  act(SIGUSR1, nested, SA_NODEFER);
  CHECK(raise(SIGUSR1) == 0);
  CHECK_EQ(t_deepest, 3);
  // siglongjmp out of a wait, and out of a computation
  act(SIGUSR1, jumps, 0);
  for (int i = 0; i < 3; ++i) jumps_out(i);
  act(SIGSEGV, jumps_on_stack, SA_ONSTACK);
  for (int i = 0; i < 100; ++i) faults();
  act(SIGSEGV, jumps, 0);
  for (int i = 0; i < 100; ++i) faults();
  mine.ss_flags = SS_DISABLE;
  CHECK_OK(sigaltstack(&mine, NULL));
  free(t_stack);
  return arg;
}

static void* stopped(void* arg) {
  CHECK_OK(sem_post(&g_ready));
  struct pollfd p = {.fd = g_pipe[0], .events = POLLIN};
  switch ((long)arg % 3) {
    case 0: while (sem_wait(&g_go) != 0) CHECK_EQ(errno, EINTR); break;
    case 1: while (!t_ran) if (poll(&p, 1, 1) < 0) CHECK_EQ(errno, EINTR); break;
    case 2: while (!t_ran) {} break;
  }
  CHECK_EQ(t_ran, 1);
  return arg;
}

int main(void) {
  CHECK_OK(sem_init(&g_ready, 0, 0));
  CHECK_OK(sem_init(&g_go, 0, 0));
  CHECK_OK(sem_init(&g_inside, 0, 0));
  CHECK_OK(sem_init(&g_never, 0, 0));
  CHECK_OK(pipe(g_pipe));
  pthread_t t = start_thread(runs, NULL);
  for (int i = 0; i < 4; ++i) signal_stage(t, i);
  join_thread(t);
  // The world stops in the handlers, which wait there themselves, and goes on.
  act(SIGUSR1, waits, SA_RESTART);
  act(SIGUSR2, nothing, SA_RESTART);
  pthread_t all[12];
  for (long i = 0; i < 12; ++i) all[i] = start_thread(stopped, (void*)i);
  for (int i = 0; i < 12; ++i) CHECK_OK(sem_wait(&g_ready));
  for (int i = 0; i < 12; ++i) CHECK_RC(pthread_kill(all[i], SIGUSR1), 0);
  for (int i = 0; i < 12; ++i) CHECK_OK(sem_wait(&g_inside));
  for (int i = 0; i < 12; ++i) CHECK_RC(pthread_kill(all[i], SIGUSR2), 0);
  for (int i = 0; i < 4; ++i) CHECK_OK(sem_post(&g_go));
  for (int i = 0; i < 12; ++i) join_thread(all[i]);
  return 0;
}
