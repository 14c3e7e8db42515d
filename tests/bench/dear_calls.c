// Runs a program as on a host where system calls are dearer: dear_calls all=NS arch_prctl=NS -- PROGRAM ARGS...
// NS: what such a call with nothing to do shall cost altogether, in nanoseconds, `all` for every call; where it costs as much already nothing
// changes. The time goes into seccomp(2) filters that allow everything after as many multiplications as it takes, measured beforehand.
// What they can't show of such a host: dearer context switches, page faults and interrupts. Needs no rights (PR_SET_NO_NEW_PRIVS).
#include <asm/prctl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

enum { MOST = BPF_MAXINSNS - 8, CALLS = 20000, ROUNDS = 7, PROBE = 2000 };

// One filter: `count` multiplications at each call, or at those with one number. It looks at an argument, since the kernel runs none
// that depends on the number alone.
static void add_filter(int only, unsigned count) {
  static struct sock_filter code[BPF_MAXINSNS];
  unsigned n = 0;
  if (only >= 0) {
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)only, 1, 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  }
  code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]));
  for (unsigned i = 0; i < count; ++i) code[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 3);
  code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog program = {(unsigned short)n, code};
  BENCH_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  BENCH_CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
}

static void add(int only, unsigned count) {
  for (; count > MOST; count -= MOST) add_filter(only, MOST);
  if (count) add_filter(only, count);
}

static double cost(int number) {  // ns, the least of some rounds
  double least = 1e18;
  for (int round = 0; round < ROUNDS; ++round) {
    long fs = 0;
    int64_t start = bench_now_ns();
    for (int i = 0; i < CALLS; ++i)
      if (number == SYS_arch_prctl) syscall(number, ARCH_GET_FS, &fs);
      else syscall(number);
    double took = (double)(bench_now_ns() - start) / CALLS;
    if (took < least) least = took;
  }
  return least;
}

// In a child, which keeps the filter.
static double cost_with(unsigned count) {
  double* found = mmap(NULL, sizeof *found, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  BENCH_CHECK(found != MAP_FAILED);
  pid_t child = fork();
  BENCH_CHECK(child >= 0);
  if (child == 0) {
    add(-1, count);
    *found = cost(SYS_getppid);
    _exit(0);
  }
  int status;
  BENCH_CHECK(waitpid(child, &status, 0) == child && status == 0);
  return *found;
}

static unsigned filler(double wanted, double has, double each) { return wanted > has ? (unsigned)((wanted - has) / each + 0.5) : 0; }

int main(int argc, char** argv) {
  double all = 0, mount = 0;
  int i = 1;
  for (; i < argc && strcmp(argv[i], "--"); ++i)
    if (sscanf(argv[i], "all=%lf", &all) != 1 && sscanf(argv[i], "arch_prctl=%lf", &mount) != 1) return fprintf(stderr, "dear_calls: %s?\n", argv[i]), 2;
  if (i + 1 >= argc) return fprintf(stderr, "usage: dear_calls all=NS arch_prctl=NS -- PROGRAM ARGS...\n"), 2;
  double little = cost_with(1), each = (cost_with(PROBE) - little) / PROBE;
  if (all > 0) add(-1, filler(all, little, each) + 1);
  if (mount > 0) {
    double has = cost(SYS_arch_prctl);
    add(SYS_arch_prctl, filler(mount, has, each));
  }
  fprintf(stderr, "dear_calls: an empty system call costs %.0f ns, an arch_prctl %.0f\n", cost(SYS_getppid), cost(SYS_arch_prctl));
  execvp(argv[i + 1], argv + i + 1);
  perror(argv[i + 1]);
  return 127;
}
