// VTSHIM_LOG=info: one line at the first thread, and the counters with pid and program at the end, whatever ends it; below info not a line. The end itself
// is as ever: the same status, and the program sees the default action, which is what it asked for, inherits or hands on. Natively: the ends alone.
#include "../check.h"

#include <dlfcn.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <threads.h>

static void* body(void* arg) {
  sleep_ms(1);
  return arg;
}

static struct sigaction asked(int signal) {
  struct sigaction a;
  memset(&a, 0x55, sizeof a);
  CHECK_OK(sigaction(signal, NULL, &a));
  return a;
}
static void* raises(void* arg) {
  raise(SIGTERM);
  return arg;
}
static void nothing(int signal) { (void)signal; }

static void end_so(const char* how) {
  join_thread(start_thread(body, NULL));
  int ends[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
  for (int i = 0; i < 4; ++i) {
    struct sigaction a = asked(ends[i]);
    CHECK(a.sa_handler == SIG_DFL);
    CHECK_EQ(a.sa_flags, 0);
  }
  if (!strcmp(how, "exit")) exit(3);
  if (!strcmp(how, "_exit")) _exit(3);
  if (!strcmp(how, "_Exit")) _Exit(3);
  if (!strcmp(how, "quick_exit")) quick_exit(3);
  if (!strcmp(how, "exit_group")) syscall(SYS_exit_group, 3);
  if (!strcmp(how, "exec")) execl("/bin/sh", "sh", "-c", "exit 3", NULL);
  if (!strcmp(how, "terminated")) pause();
  if (!strcmp(how, "raised")) raise(SIGINT);
  if (!strcmp(how, "worker")) {
    join_thread(start_thread(raises, NULL));
  }
  if (!strcmp(how, "default again")) {
    CHECK(signal(SIGTERM, nothing) == SIG_DFL);
    CHECK_OK(raise(SIGTERM));
    struct sigaction a = {.sa_handler = SIG_DFL, .sa_flags = SA_RESTART | SA_NOCLDSTOP}, old;
    CHECK_OK(sigaction(SIGTERM, &a, &old));
    CHECK(old.sa_handler == nothing);
    a = asked(SIGTERM);
    CHECK(a.sa_handler == SIG_DFL && (a.sa_flags & ~0x04000000) == (SA_RESTART | SA_NOCLDSTOP));
    CHECK(signal(SIGTERM, SIG_IGN) == SIG_DFL);
    CHECK_OK(raise(SIGTERM));
    CHECK(signal(SIGTERM, SIG_DFL) == SIG_IGN);
    CHECK_OK(raise(SIGTERM));
  }
  if (!strcmp(how, "blocked")) {  // pending till it's taken: nobody dies
    sigset_t set;
    int got;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    CHECK_OK(kill(getpid(), SIGTERM));
    CHECK_RC(sigwait(&set, &got), 0);
    CHECK_EQ(got, SIGTERM);
    exit(3);
  }
  if (!strcmp(how, "child")) {  // dies likewise, and tells nothing: it had no threads
    int status;
    pid_t pid = fork();
    if (pid == 0) {
      CHECK(asked(SIGTERM).sa_handler == SIG_DFL);
      raise(SIGTERM);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, SIGTERM);
    char* argv[] = {"sh", "-c", "kill -TERM $$; exit 3", NULL};  // an exec'd program has the default
    CHECK_RC(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, argv + 3), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, SIGTERM);
    exit(3);
  }
  check_fail(__FILE__, __LINE__, errno, "%s goes on", how);
}

static int lines_with(const char* text, const char* word) {
  int n = 0;
  for (const char* p = text; (p = strstr(p, word)); ++p) ++n;
  return n;
}

static void check_end(const char* program, const char* how, int expected, bool shimmed, const char* level) {
  int ends[2];
  CHECK_OK(pipe(ends));
  pid_t pid = fork();
  if (pid == 0) {
    CHECK_OK(dup2(ends[1], 2));
    close(ends[0]);
    close(ends[1]);
    CHECK_OK(setenv("VTSHIM_LOG", level, 1));
    execl(program, program, how, NULL);
    _exit(99);
  }
  close(ends[1]);
  char text[8192];
  size_t used = 0;
  bool sent = strcmp(how, "terminated") != 0;
  for (;;) {
    ssize_t n = read(ends[0], text + used, sizeof text - 1 - used);
    CHECK(n >= 0);
    used += (size_t)n;
    text[used] = 0;
    if (n == 0) break;
    if (!sent && strchr(text, '\n')) sent = kill(pid, SIGTERM) == 0;
  }
  close(ends[0]);
  int status;
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  if (status != expected) check_fail(__FILE__, __LINE__, 0, "%s ends with %d: %s", how, status, text);
  if (!shimmed || strcmp(level, "info") != 0) {
    if (lines_with(text, "vtshim:")) check_fail(__FILE__, __LINE__, 0, "%s: %s", how, text);
    return;
  }
  char word[64];
  snprintf(word, sizeof word, "(pid %d) virtual: tls=", (int)pid);
  if (lines_with(text, word) != 1) check_fail(__FILE__, __LINE__, 0, "%s: no \"%s\" in %s", how, word, text);
  snprintf(word, sizeof word, "pid=%d program=test vthreads=", (int)pid);
  if (lines_with(text, word) != 1) check_fail(__FILE__, __LINE__, 0, "%s: not one \"%s\" in %s", how, word, text);
  if (lines_with(text, "vthreads=") != 1) check_fail(__FILE__, __LINE__, 0, "%s: %s", how, text);
}

int main(int argc, char** argv) {
  if (argc > 1) end_so(argv[1]);
  bool shimmed = dlsym(RTLD_DEFAULT, "vtshim_active") != NULL;
  const int exits = 3 << 8;
  struct {
    const char* how;
    int status;
  } all[] = {{"exit", exits}, {"_exit", exits}, {"_Exit", exits}, {"quick_exit", exits}, {"exit_group", exits}, {"exec", exits},
             {"raised", SIGINT}, {"worker", SIGTERM}, {"default again", SIGTERM}, {"blocked", exits}, {"child", exits}};
  for (size_t i = 0; i < sizeof all / sizeof *all; ++i) {
    check_end(argv[0], all[i].how, all[i].status, shimmed, "info");
    check_end(argv[0], all[i].how, all[i].status, shimmed, "warn");
  }
  if (shimmed) check_end(argv[0], "terminated", SIGTERM, shimmed, "info");  // it's sent when the first line is there
  return 0;
}
