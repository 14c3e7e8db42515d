// Children that fork's handlers don't see: _Fork(3), clone(2) with an own stack, with and without CLONE_VM and CLONE_VFORK, by the libc
// functions and by syscall(2), from workers and main with others alive. Such a child waits in read, poll, nanosleep and waitpid, has its parent's
// signal mask, forks and execs; the parent's own waits go on undisturbed.
#include "../check.h"

#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

extern int __clone(int (*)(void*), void*, int, void*, ...);

enum { kStack = 256 * 1024, kRounds = 4 };
static sem_t g_never;
static int g_stop;

typedef struct {
  int to_child[2], to_parent[2];
} Pipes;

static void* busy(void* arg) {
  while (!__atomic_load_n(&g_stop, __ATOMIC_RELAXED)) sleep_ms(1);
  return arg;
}

// Only what a signal handler may call.
static int waits(void* arg) {
  Pipes* p = arg;
  char c;
  struct pollfd in = {p->to_child[0], POLLIN, 0};
  if (write(p->to_parent[1], "r", 1) != 1) _exit(21);
  if (poll(&in, 1, -1) != 1) _exit(22);
  if (read(p->to_child[0], &c, 1) != 1) _exit(23);
  if (read(p->to_child[0], &c, 1) != 1) _exit(24);  // waits
  struct timespec ms = {0, 1000000};
  if (nanosleep(&ms, NULL) != 0) _exit(25);
  sigset_t mask;
  if (sigprocmask(SIG_BLOCK, NULL, &mask) != 0) _exit(26);
  for (int s = 1; s < 32; ++s)
    if (sigismember(&mask, s) != (s == SIGUSR2)) _exit(30 + s);
  if (write(p->to_parent[1], "e", 1) != 1) _exit(27);
  _exit(9);
}

static int waits_for_child(void* arg) {
  pid_t pid = _Fork();
  if (pid < 0) _exit(11);
  if (pid == 0) waits(arg);
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) _exit(12);
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 13);
}

static int executes(void* arg) {
  Pipes* p = arg;
  if (write(p->to_parent[1], "re", 2) != 2) _exit(21);
  execl("/bin/sh", "sh", "-c", "exit 9", (char*)NULL);
  _exit(20);
}

// In the parent's memory, with its thread pointer, beside it.
static int shares(void* arg) {
  Pipes* p = arg;
  char c;
  if (write(p->to_parent[1], "r", 1) != 1) _exit(21);
  if (read(p->to_child[0], &c, 1) != 1) _exit(23);
  if (read(p->to_child[0], &c, 1) != 1) _exit(24);
  if (write(p->to_parent[1], "e", 1) != 1) _exit(27);
  _exit(9);
}

static pid_t start(int how, Pipes* p, char* stack) {
  pid_t pid;
  switch (how) {
    case 0: if ((pid = _Fork()) == 0) waits(p); return pid;
    case 1: if ((pid = _Fork()) == 0) waits_for_child(p); return pid;
    case 2: if ((pid = _Fork()) == 0) executes(p); return pid;
    case 3: return __clone(waits, stack + kStack, SIGCHLD, p);
    case 4: return clone(waits_for_child, stack + kStack, SIGCHLD, p);
    case 5: return clone(executes, stack + kStack, CLONE_VM | CLONE_VFORK | SIGCHLD, p);
    case 6: if ((pid = (pid_t)syscall(SYS_fork)) == 0) waits(p); return pid;
    case 8: return clone(shares, stack + kStack, CLONE_VM | SIGCHLD, p);
    default: if ((pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL)) == 0) waits(p); return pid;
  }
}

static void* parent(void* arg) {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR2);
  CHECK_RC(pthread_sigmask(SIG_SETMASK, &mask, NULL), 0);
  char* stack = mmap(NULL, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  CHECK(stack != MAP_FAILED);
  for (int how = 0; how < 9; ++how) {
    Pipes p;
    char c = 0;
    CHECK_OK(pipe(p.to_child));
    CHECK_OK(pipe(p.to_parent));
    pid_t pid = start(how, &p, stack);
    CHECK_OK(pid);
    CHECK_EQ(read(p.to_parent[0], &c, 1), 1);
    CHECK_EQ(c, 'r');
    CHECK_EQ(write(p.to_child[1], "x", 1), 1);
    sleep_ms(2);
    CHECK(write(p.to_child[1], "y", 1) == 1);
    int status = wait_status(pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 9) check_fail(__FILE__, __LINE__, 0, "way %d: status 0x%x", how, status);
    CHECK_EQ(read(p.to_parent[0], &c, 1), 1);
    CHECK_EQ(c, 'e');
    for (int i = 0; i < 2; ++i) CHECK_OK(close(p.to_child[i]) | close(p.to_parent[i]));
  }
  CHECK_OK(munmap(stack, kStack));
  return arg;
}

int main(void) {
  pthread_t others[6], parents[2];
  CHECK_OK(sem_init(&g_never, 0, 0));
  for (int i = 0; i < 6; ++i) others[i] = start_thread(busy, NULL);
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < 2; ++i) parents[i] = start_thread(parent, NULL);
    if (round == 2) parent(NULL);
    for (int i = 0; i < 2; ++i) join_thread(parents[i]);
  }
  __atomic_store_n(&g_stop, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < 6; ++i) join_thread(others[i]);
  return 0;
}
