// The last thread ends while main is on its way into a call that waits, and main is held there, as on a machine with too few CPUs, for so long that
// everything that was started for threads may end meanwhile; in chaos mode that takes some ms. A tracer holds it, after each so many instructions.
#include "../check.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <time.h>

enum { kCalls = 6, kMostSteps = 1400, kStride = 11, kHeld = 18000 /* us */ };

static struct shared {
  atomic_int worker_runs, worker_may_end, call_ended, traced;
  atomic_uint steps;
}* g;
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static int g_pipe[2];

static void* body(void* arg) {
  atomic_store(&g->worker_runs, 1);
  while (!atomic_load(&g->worker_may_end)) sched_yield();
  return arg;
}

// At its int3 main says from where on it's to be held after how many instructions.
static void tracer(void) {
  pid_t tid = getppid();
  int status;
  if (ptrace(PTRACE_SEIZE, tid, 0, 0) != 0) {
    atomic_store(&g->traced, -1);
    return;
  }
  atomic_store(&g->traced, 1);
  while (waitpid(tid, &status, __WALL) == tid && WIFSTOPPED(status)) {
    int signal = status >> 16 ? 0 : WSTOPSIG(status);
    if (signal == SIGTRAP) {
      for (unsigned i = atomic_load(&g->steps); i && !atomic_load(&g->call_ended); --i) {
        if (ptrace(PTRACE_SINGLESTEP, tid, 0, 0) != 0 || waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status)) return;
        if (WSTOPSIG(status) != SIGTRAP) break;
      }
      signal = status >> 16 || WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
      atomic_store(&g->worker_may_end, 1);
      usleep(kHeld);
    }
    if (ptrace(PTRACE_CONT, tid, 0, signal) != 0) return;
  }
}

static void call(unsigned which) {
  struct timespec then, a_moment = {0, 20000};
  struct pollfd nothing = {g_pipe[0], POLLIN, 0};
  CHECK_OK(clock_gettime(CLOCK_REALTIME, &then));
  asm volatile("int3");
  switch (which) {
    case 0: CHECK_OK(usleep(10)); break;
    case 1: CHECK_EQ(poll(&nothing, 1, 1), 0); break;
    case 2: CHECK_OK(nanosleep(&a_moment, NULL)); break;
    case 3: CHECK_OK(sched_yield()); break;
    case 4: CHECK_RC(pthread_mutex_timedlock(&g_mutex, &then), ETIMEDOUT); break;
    case 5: CHECK_OK(select(0, NULL, NULL, NULL, &(struct timeval){0, 20})); break;
  }
}

int main(void) {
  CHECK_OK(pipe(g_pipe));
  g = mmap(NULL, sizeof *g, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(g != MAP_FAILED);
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  pid_t child = fork_child(tracer);
  prctl(PR_SET_PTRACER, child, 0, 0, 0);
  while (!atomic_load(&g->traced)) usleep(1000);
  if (atomic_load(&g->traced) < 0) return 77;
  for (unsigned i = 1; i < kMostSteps / kStride; ++i) {
    atomic_store(&g->worker_runs, 0);
    atomic_store(&g->worker_may_end, 0);
    atomic_store(&g->call_ended, 0);
    atomic_store(&g->steps, i * kStride);
    pthread_t thread = start_thread(body, NULL);
    while (!atomic_load(&g->worker_runs)) sched_yield();
    call(i % kCalls);
    atomic_store(&g->call_ended, 1);
    join_thread(thread);
  }
  CHECK_OK(kill(child, SIGKILL));
  return 0;
}
