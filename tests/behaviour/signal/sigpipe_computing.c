// A SIGPIPE that its thread blocks stays pending for that thread, and for no other, whatever the thread does before it looks: it computes until others
// have had their turn, waits in the kernel by a system call of its own, or the write was stdio's.
#include "../check.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>

static atomic_int g_turns, g_ran, g_end;
static void on_pipe(int signal) {
  CHECK_EQ(signal, SIGPIPE);
  atomic_fetch_add(&g_ran, 1);
}

static long own_call(long number, long a, long b, long c) {
  long r = number;
  __asm__ volatile("syscall" : "+a"(r) : "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return r;
}

static void compute(void) {  // until the others have had some turns
  int until = atomic_load(&g_turns) + 8;
  while (atomic_load_explicit(&g_turns, memory_order_relaxed) < until) {}
}
static void wait_in_kernel(void) {
  struct timespec t = {0, 20 * 1000 * 1000};
  CHECK_EQ(own_call(SYS_nanosleep, (long)&t, 0, 0), 0);
}

static void break_pipe(int kind) {
  int fds[2];
  CHECK_OK(pipe(fds));
  CHECK_OK(close(fds[0]));
  if (kind == 0) {
    CHECK_EQ(own_call(SYS_write, fds[1], (long)"x", 1), -EPIPE);
    compute();
  } else if (kind == 1) {
    CHECK_EQ(own_call(SYS_write, fds[1], (long)"x", 1), -EPIPE);
    wait_in_kernel();
  } else {
    FILE* file = fdopen(fds[1], "w");
    CHECK(file);
    CHECK_EQ(fputc('x', file), 'x');
    CHECK_ERR(fflush(file), EPIPE);
    compute();
    CHECK(fclose(file) == 0 || errno == EPIPE);
    return;
  }
  CHECK_OK(close(fds[1]));
}

static void* writer(void* arg) {
  struct timespec zero = {0, 0};
  sigset_t set, pending;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  for (int i = 0; i < 9; ++i) {
    CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    break_pipe(i % 3);
    CHECK_OK(sigpending(&pending));
    CHECK_EQ(sigismember(&pending, SIGPIPE), 1);
    CHECK_EQ(sigtimedwait(&set, NULL, &zero), SIGPIPE);
    CHECK_ERR(sigtimedwait(&set, NULL, &zero), EAGAIN);
    break_pipe(i % 3);
    int before = atomic_load(&g_ran);
    CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
    CHECK_EQ(atomic_load(&g_ran), before + 1);
  }
  return arg;
}

static void* turns(void* arg) {
  sigset_t set, pending;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  while (!atomic_load(&g_end)) {
    if (arg) {
      CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
      CHECK_OK(sigpending(&pending));
      CHECK_EQ(sigismember(&pending, SIGPIPE), 0);
      CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
    }
    atomic_fetch_add(&g_turns, 1);
    sched_yield();
  }
  return NULL;
}

int main(void) {
  struct sigaction action = {.sa_handler = on_pipe};
  CHECK_OK(sigaction(SIGPIPE, &action, NULL));
  pthread_t one = start_thread(writer, NULL), others[4];
  for (int i = 0; i < 4; ++i) others[i] = start_thread(turns, i % 2 ? others : NULL);
  join_thread(one);
  CHECK_EQ(atomic_load(&g_ran), 9);
  atomic_store(&g_end, 1);
  for (int i = 0; i < 4; ++i) join_thread(others[i]);
  return 0;
}
