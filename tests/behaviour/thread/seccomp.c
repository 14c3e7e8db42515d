// A thread puts itself under a seccomp filter, prctl(2) or seccomp(2), that forbids what only a run-time system would want (io_uring_enter): by an
// error or by death. It waits for the kernel and for other threads as before, sleeps, takes a signal and ends; the filter is its alone. So for main.
#include "../check.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { kBoxed = 3, kTurns = 4, kAtOnce = 12 };
static int g_pipe[2], g_kills, g_stop, g_go;
static sem_t g_sem, g_handled, g_end, g_boxed;

static void on_signal(int signal) {
  (void)signal;
  sem_post(&g_handled);
}

static void box(int by_seccomp) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, g_kills ? SECCOMP_RET_KILL_PROCESS : (SECCOMP_RET_ERRNO | EPERM)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code}, empty = {0, code};
  CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  CHECK_ERR(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &empty), EINVAL);
  if (by_seccomp) CHECK_OK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
  else CHECK_OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static void* boxed(void* arg) {
  char c;
  box((long)arg % 2);
  for (int i = 0; i < kTurns; ++i) {
    CHECK_EQ(read(g_pipe[0], &c, 1), 1);
    while (sem_wait(&g_sem) != 0) CHECK_EQ(errno, EINTR);
    CHECK_ERR(syscall(SYS_getppid), EXDEV);
    sleep_ms(1);
  }
  while (sem_wait(&g_end) != 0) CHECK_EQ(errno, EINTR);  // signalled here
  return arg;
}

// Boxed together with others, and each ends only when all have come so far.
static void* boxed_at_once(void* arg) {
  while (!__atomic_load_n(&g_go, __ATOMIC_RELAXED)) sched_yield();
  box((long)arg % 2);
  CHECK_OK(sem_post(&g_boxed));
  while (sem_wait(&g_end) != 0) CHECK_EQ(errno, EINTR);
  return arg;
}

static void* free_one(void* arg) {
  do {
    CHECK(syscall(SYS_getppid) > 0);
    sleep_ms(1);
  } while (arg && !__atomic_load_n(&g_stop, __ATOMIC_RELAXED));
  return NULL;
}

static void at_once(void) {
  pthread_t threads[kAtOnce];
  for (long i = 0; i < kAtOnce; ++i) threads[i] = start_thread(boxed_at_once, (void*)i);
  __atomic_store_n(&g_go, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < kAtOnce; ++i)
    while (sem_wait(&g_boxed) != 0) CHECK_EQ(errno, EINTR);
  for (int i = 0; i < kAtOnce; ++i) CHECK_OK(sem_post(&g_end));
  for (long i = 0; i < kAtOnce; ++i) CHECK_EQ((long)join_thread(threads[i]), i);
}

static void all(void) {
  CHECK_OK(pipe(g_pipe) | sem_init(&g_sem, 0, 0) | sem_init(&g_handled, 0, 0) | sem_init(&g_end, 0, 0) | sem_init(&g_boxed, 0, 0));
  struct sigaction action = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  pthread_t threads[kBoxed], others[4];
  for (int i = 0; i < 4; ++i) others[i] = start_thread(free_one, &g_stop);
  for (int round = 0; round < 2; ++round) {
    for (long i = 0; i < kBoxed; ++i) threads[i] = start_thread(boxed, (void*)i);
    for (int i = 0; i < kTurns; ++i) {
      sleep_ms(2);
      for (int k = 0; k < kBoxed; ++k) CHECK_EQ(write(g_pipe[1], "x", 1), 1);
      sleep_ms(2);
      for (int k = 0; k < kBoxed; ++k) CHECK_OK(sem_post(&g_sem));
    }
    CHECK_RC(pthread_kill(threads[0], SIGUSR1), 0);
    while (sem_wait(&g_handled) != 0) CHECK_EQ(errno, EINTR);
    for (int k = 0; k < kBoxed; ++k) CHECK_OK(sem_post(&g_end));
    for (long i = 0; i < kBoxed; ++i) CHECK_EQ((long)join_thread(threads[i]), i);
    for (int i = 0; i < 10; ++i) join_thread(start_thread(free_one, NULL));
  }
  at_once();
  box(0);
  for (int i = 0; i < 10; ++i) {
    CHECK_ERR(syscall(SYS_getppid), EXDEV);
    sleep_ms(1);
  }
  __atomic_store_n(&g_stop, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < 4; ++i) join_thread(others[i]);
}

int main(void) {
  for (g_kills = 0; g_kills < 2; ++g_kills) {
    pid_t pid = fork_child(all);
    CHECK_CHILD_EXITS(pid, 0);
  }
  return 0;
}
