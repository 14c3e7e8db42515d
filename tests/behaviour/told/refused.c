// A seccomp filter refuses io_uring: its set-up, or only io_uring_enter. Threads wait by epoll then, or are native if VTSHIM_REACTOR wants nothing
// but the ring; one line says so, and why. A filter that comes when threads
// are virtual already ends no process and has nobody turn in a loop: one line, calls that wait on descriptors fail, everything else goes on.
#include "../check.h"

#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static void forbid(int number, int error, unsigned flags) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  CHECK_OK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
}

static int g_pair[2];
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;
static int g_turn, g_refused_late;

static void* takes_turns(void* arg) {
  for (int i = 0; i < 100; ++i) {
    pthread_mutex_lock(&g_mutex);
    while (g_turn != *(int*)arg) pthread_cond_wait(&g_cond, &g_mutex);
    g_turn = !g_turn;
    pthread_cond_broadcast(&g_cond);
    pthread_mutex_unlock(&g_mutex);
    usleep(100);
  }
  return arg;
}
static void* reads(void* arg) {
  char c;
  errno = 0;
  ssize_t n = read(g_pair[0], &c, 1);
  if (!g_refused_late) CHECK_EQ(n, 1);
  else if (n != 1) CHECK_EQ(errno, EPERM);
  return arg;
}

static void all_that_goes_on(void) {
  int numbers[2] = {0, 1};
  pthread_t reader = start_thread(reads, NULL);
  pthread_t threads[2] = {start_thread(takes_turns, &numbers[0]), start_thread(takes_turns, &numbers[1])};
  sleep_ms(50);
  CHECK_EQ(write(g_pair[1], "x", 1), 1);
  join_thread(reader);
  join_thread(threads[0]);
  join_thread(threads[1]);
  // A second asleep costs next to nothing. A loop would take all of it.
  struct rusage before, after;
  CHECK_OK(getrusage(RUSAGE_SELF, &before));
  sleep_ms(1000);
  CHECK_OK(getrusage(RUSAGE_SELF, &after));
  long us = (after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 + after.ru_utime.tv_usec -
            before.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_stime.tv_usec;
  CHECK(us < 300000);
}

static void check_case(int number, int error, bool late, bool more, const char* line, bool shimmed) {
  int told[2];
  CHECK_OK(pipe(told));
  pid_t pid = fork();
  if (pid == 0) {
    CHECK_OK(dup2(told[1], 2));
    CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, g_pair));
    g_refused_late = late;
    int zero = 0, one = 1;
    if (late) {
      pthread_t a = start_thread(takes_turns, &zero), b = start_thread(takes_turns, &one);
      join_thread(a);
      join_thread(b);
    }
    forbid(number, error, late ? SECCOMP_FILTER_FLAG_TSYNC : 0);
    all_that_goes_on();
    _exit(0);
  }
  close(told[1]);
  char text[4096];
  size_t used = 0;
  for (ssize_t n; (n = read(told[0], text + used, sizeof text - 1 - used)) > 0;) used += (size_t)n;
  text[used] = 0;
  close(told[0]);
  int status;
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  if (status) check_fail(__FILE__, __LINE__, 0, "status %d: %s", status, text);
  if (!shimmed) return;
  if (!strstr(text, line) || !strstr(text, "seccomp")) check_fail(__FILE__, __LINE__, 0, "no \"%s\" in %s", line, text);
  if (!more && strchr(text, '\n') != text + used - 1) check_fail(__FILE__, __LINE__, 0, "more than a line: %s", text);
}

int main(int argc, char** argv) {
  (void)argc;
  bool shimmed = dlsym(RTLD_DEFAULT, "vtshim_active") != NULL;
  const char* reactor = getenv("VTSHIM_REACTOR");
  if (!reactor || (strcmp(reactor, "uring") && strcmp(reactor, "auto"))) {  // the settings are read at the start
    const char* ways[] = {"uring", "auto"};
    for (int i = 0; i < 2; ++i) {
      int status;
      pid_t pid = fork();
      if (pid == 0) {
        CHECK_OK(setenv("VTSHIM_REACTOR", ways[i], 1));
        if (i == 1) CHECK_OK(setenv("VTSHIM_LOG", "info", 1));
        execv("/proc/self/exe", argv);
        _exit(99);
      }
      CHECK_EQ(waitpid(pid, &status, 0), pid);
      CHECK_EQ(status, 0);
    }
    return 0;
  }
  if (!strcmp(reactor, "auto")) {
    check_case(SYS_io_uring_setup, EPERM, false, true, "threads wait by epoll, since io_uring_setup is refused, Operation not permitted (EPERM)", shimmed);
    check_case(SYS_io_uring_enter, ENOSYS, false, true, "threads wait by epoll, since io_uring_enter is refused, Function not implemented (ENOSYS)", shimmed);
    return 0;
  }
  check_case(SYS_io_uring_setup, EPERM, false, false, "threads stay native: io_uring_setup is refused, Operation not permitted (EPERM)", shimmed);
  check_case(SYS_io_uring_setup, ENOSYS, false, false, "threads stay native: io_uring_setup is refused, Function not implemented (ENOSYS)", shimmed);
  check_case(SYS_io_uring_enter, EPERM, false, false, "threads stay native: io_uring_enter is refused, Operation not permitted (EPERM)", shimmed);
  check_case(SYS_io_uring_enter, ENOSYS, false, false, "threads stay native: io_uring_enter is refused, Function not implemented (ENOSYS)", shimmed);
  check_case(SYS_io_uring_enter, EPERM, true, true, "io_uring_enter is refused from now on, Operation not permitted (EPERM)", shimmed);
  return 0;
}
