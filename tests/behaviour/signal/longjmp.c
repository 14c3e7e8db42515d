// siglongjmp out of a handler on the main thread, from each of several waits and from plain computing, with workers that hand a
// token around meanwhile: main goes on behind its sigsetjmp each time, with the mask it had, and nothing of the workers' is lost.
#include "../check.h"

#include <poll.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

enum { kJumps = 60, kWorkers = 4 };

static sigjmp_buf g_out;
static sem_t g_token[kWorkers], g_never;
static atomic_int g_stop;
static atomic_long g_passed;
static int g_pipe[2];

static void on_alarm(int signal) {
  (void)signal;
  siglongjmp(g_out, 5);
}

static void* pass_on(void* arg) {
  int me = (int)(long)arg;
  for (;;) {
    CHECK_OK(sem_wait(&g_token[me]));
    int stop = atomic_load(&g_stop);
    atomic_fetch_add(&g_passed, 1);
    CHECK_OK(sem_post(&g_token[(me + 1) % kWorkers]));
    if (stop) return arg;
  }
}

static void wait_somehow(int how) {
  char byte;
  struct pollfd p = {.fd = g_pipe[0], .events = POLLIN};
  struct timespec hour = {3600, 0};
  switch (how % 6) {
    case 0: pause(); break;
    case 1: (void)!read(g_pipe[0], &byte, 1); break;
    case 2: poll(&p, 1, -1); break;
    case 3: nanosleep(&hour, NULL); break;
    case 4: sem_wait(&g_never); break;
    case 5:
      for (volatile long i = 0;; ++i) {
      }
  }
}

int main(void) {
  CHECK_OK(pipe(g_pipe));
  CHECK_OK(sem_init(&g_never, 0, 0));
  for (int i = 0; i < kWorkers; ++i) CHECK_OK(sem_init(&g_token[i], 0, i == 0));
  struct sigaction action = {.sa_handler = on_alarm};
  CHECK_OK(sigaction(SIGALRM, &action, NULL));
  pthread_t workers[kWorkers];
  sigset_t set;  // workers start with all blocked
  sigfillset(&set);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
  for (int i = 0; i < kWorkers; ++i) workers[i] = start_thread(pass_on, (void*)(long)i);
  CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
  for (volatile int i = 0; i < kJumps; ++i) {
    long passed = atomic_load(&g_passed);
    while (atomic_load(&g_passed) == passed) sched_yield();  // the workers are alive
    if (sigsetjmp(g_out, 1) == 0) {
      struct itimerval once = {{0, 0}, {0, 300 + i % 7 * 400}};
      CHECK_OK(setitimer(ITIMER_REAL, &once, NULL));
      wait_somehow(i);
      CHECK(!"the handler jumps");
    }
    sigset_t mask;
    CHECK_RC(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
    CHECK(!sigismember(&mask, SIGALRM));
  }
  CHECK_EQ(write(g_pipe[1], "x", 1), 1);  // main's own calls work as before
  char byte;
  CHECK_EQ(read(g_pipe[0], &byte, 1), 1);
  atomic_store(&g_stop, 1);
  for (int i = 0; i < kWorkers; ++i) join_thread(workers[i]);
  return 0;
}
