// Counts a program's instructions between two breakpoints exactly, by stepping through them one by one; no hardware counter and no emulator is
// needed. `count_steps [NAME=VALUE...] -- PROGRAM ARGS...` starts PROGRAM with those settings and without address randomisation. From one `int3`
// to the next the OS thread that ran into it is stepped, and all other OS threads of the program stand still, so that a thread of a runtime that
// watches the clock can't interfere. Prints a line "instructions N syscalls N" a window, and at the end the system calls of all windows by
// number ("call NUMBER TIMES") and, with the setting COUNT_PROFILE=1, a profile ("map LINE-OF-MAPS", "at ADDRESS TIMES"). A repeated string
// instruction counts as one.
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { kThreads = 1024, kCalls = 1024, kStepsAtMost = 20000000, kPlaces = 1 << 16 };

static pid_t threads[kThreads];  // all of the program's OS threads
static bool stands[kThreads];    // stopped, and to be continued after the window
static int pending[kThreads];    // a signal that it is to get then
static int thread_count;
static long calls[kCalls];
static struct { unsigned long long address; long times; } places[kPlaces];  // open addressing

static void note(unsigned long long address) {
  unsigned i = (unsigned)(address * 0x9e3779b97f4a7c15 >> 48);
  while (places[i].times && places[i].address != address) i = (i + 1) % kPlaces;
  places[i].address = address;
  ++places[i].times;
}

// Lines of the program's map that can be run.
static void print_maps(pid_t tid) {
  char line[512];
  snprintf(line, sizeof line, "/proc/%d/maps", tid);
  FILE *f = fopen(line, "r");
  BENCH_CHECK(f);
  while (fgets(line, sizeof line, f))
    if (strstr(line, " r-xp ")) printf("map %s", line);
  fclose(f);
}

static int find(pid_t tid) {
  for (int i = 0; i < thread_count; ++i)
    if (threads[i] == tid) return i;
  errno = 0;
  BENCH_CHECK(thread_count < kThreads);
  threads[thread_count] = tid;
  stands[thread_count] = false;
  pending[thread_count] = 0;
  return thread_count++;
}

static void forget(pid_t tid) {
  for (int i = 0; i < thread_count; ++i)
    if (threads[i] == tid) {
      --thread_count;
      threads[i] = threads[thread_count];
      stands[i] = stands[thread_count];
      pending[i] = pending[thread_count];
    }
}

// The signal to pass on at the continuation of a stop, 0 for one of ptrace's own.
static int signal_of(int status) {
  int number = WSTOPSIG(status);
  return status >> 16 || number == SIGTRAP || number == SIGSTOP ? 0 : number;
}

// Stops every other OS thread.
static void freeze(pid_t stepped) {
  for (int i = 0; i < thread_count; ++i)
    if (threads[i] != stepped && !stands[i]) ptrace(PTRACE_INTERRUPT, threads[i], NULL, NULL);
  for (int i = 0; i < thread_count;) {
    int status;
    if (threads[i] == stepped || stands[i]) {
      ++i;
    } else if (waitpid(threads[i], &status, __WALL) < 0 || !WIFSTOPPED(status)) {
      forget(threads[i]);
    } else {
      pending[i] = signal_of(status);
      stands[i++] = true;
    }
  }
}

static void thaw(void) {
  for (int i = 0; i < thread_count; ++i) {
    if (stands[i]) ptrace(PTRACE_CONT, threads[i], NULL, (void *)(intptr_t)pending[i]);
    stands[i] = false;
    pending[i] = 0;
  }
}

static struct user_regs_struct registers(pid_t tid) {
  struct user_regs_struct r;
  BENCH_CHECK(!ptrace(PTRACE_GETREGS, tid, NULL, &r));
  return r;
}

// From one breakpoint to the next. False: the program ended.
static bool count_window(pid_t tid, long *instructions, long *syscalls) {
  unsigned long long before = registers(tid).rip;
  int deliver = 0;
  for (*instructions = *syscalls = 0; *instructions < kStepsAtMost;) {
    int status;
    BENCH_CHECK(!ptrace(PTRACE_SINGLESTEP, tid, NULL, (void *)(intptr_t)deliver));
    BENCH_CHECK(waitpid(tid, &status, __WALL) == tid);
    if (!WIFSTOPPED(status)) return false;
    if (status >> 16) {  // an event: a thread was made
      deliver = 0;
      continue;
    }
    if (WSTOPSIG(status) != SIGTRAP) {
      deliver = WSTOPSIG(status);
      continue;
    }
    deliver = 0;
    siginfo_t why;
    struct user_regs_struct r = registers(tid);
    BENCH_CHECK(!ptrace(PTRACE_GETSIGINFO, tid, NULL, &why));
    if (why.si_code == SI_KERNEL) return true;  // int3
    if (r.rip == before) continue;              // a further turn of a `rep`
    note(before);
    before = r.rip;
    ++*instructions;
    if (r.rcx == r.rip && (long long)r.orig_rax >= 0) {  // SYSCALL leaves its return address in rcx
      ++*syscalls;
      if (r.orig_rax < kCalls) ++calls[r.orig_rax];
    }
  }
  bench_die(__FILE__, __LINE__, "the window", "doesn't end");
  return false;
}

int main(int argc, char **argv) {
  int first = 1;
  while (first < argc && strcmp(argv[first], "--")) ++first;
  if (first + 1 >= argc) bench_die(__FILE__, __LINE__, "usage", "count_steps [NAME=VALUE...] -- PROGRAM ARGS...");
  // On one CPU a step costs a switch, not a wake-up of another CPU.
  cpu_set_t here;
  CPU_ZERO(&here);
  CPU_SET(sched_getcpu(), &here);
  sched_setaffinity(0, sizeof here, &here);
  bool profile = false, places_too;
  for (int i = 1; i < first; ++i) profile |= !strcmp(argv[i], "COUNT_PROFILE=1");
  places_too = profile;
  pid_t program = fork();
  BENCH_CHECK(program >= 0);
  if (!program) {
    for (int i = 1; i < first; ++i) putenv(argv[i]);
    personality(ADDR_NO_RANDOMIZE);
    raise(SIGSTOP);  // until it is traced
    execv(argv[first + 1], argv + first + 1);
    bench_die(__FILE__, __LINE__, argv[first + 1], strerror(errno));
  }
  int status;
  BENCH_CHECK(waitpid(program, &status, WUNTRACED) == program && WIFSTOPPED(status));
  if (ptrace(PTRACE_SEIZE, program, NULL, (void *)(PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL))) {
    fprintf(stderr, "count_steps: ptrace isn't permitted here: %s\n", strerror(errno));
    kill(program, SIGKILL);
    return 77;
  }
  find(program);
  kill(program, SIGCONT);
  for (;;) {
    pid_t tid = waitpid(-1, &status, __WALL);
    if (tid < 0) break;
    if (!WIFSTOPPED(status)) {
      if (tid == program) break;
      forget(tid);
      continue;
    }
    find(tid);
    siginfo_t why;
    int event = status >> 16;
    if (event == PTRACE_EVENT_CLONE) {
      unsigned long made;
      if (!ptrace(PTRACE_GETEVENTMSG, tid, NULL, &made)) find((pid_t)made);
    }
    if (!event && WSTOPSIG(status) == SIGTRAP && !ptrace(PTRACE_GETSIGINFO, tid, NULL, &why) && why.si_code == SI_KERNEL) {
      long instructions, syscalls;
      freeze(tid);
      bool whole = count_window(tid, &instructions, &syscalls);
      if (profile && whole) print_maps(tid);
      profile = false;
      thaw();
      if (!whole) continue;
      printf("instructions %ld syscalls %ld\n", instructions, syscalls);
    }
    ptrace(PTRACE_CONT, tid, NULL, (void *)(intptr_t)(event == PTRACE_EVENT_STOP ? 0 : signal_of(status)));
  }
  for (int i = 0; i < kCalls; ++i)
    if (calls[i]) printf("call %d %ld\n", i, calls[i]);
  for (int i = 0; places_too && i < kPlaces; ++i)
    if (places[i].times) printf("at %llx %ld\n", places[i].address, places[i].times);
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  bench_die(__FILE__, __LINE__, argv[first + 1], "was killed");
}
