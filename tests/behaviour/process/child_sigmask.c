// pthread_sigmask(3), execve(2): a child has exactly the signal mask of the thread that made it, whatever the way: fork
// + exec, vfork + exec, clone in the same memory + exec, posix_spawn with and without SETSIGMASK, popen, system; the child's own
// /proc/self/status tells.
#include "../check.h"

#include <sched.h>
#include <signal.h>
#include <spawn.h>

static char* g_script[] = {(char*)"sh", (char*)"-c", (char*)"exec grep SigBlk /proc/self/status", NULL};
static char* g_env[] = {(char*)"PATH=/usr/bin:/bin", NULL};

typedef enum { kFork, kVfork, kClone, kSpawn, kSpawnSetMask, kPopen, kSystem, kWays } Way;

static unsigned long long parse(const char* text) {
  const char* colon = strchr(text, ':');
  if (colon == NULL) check_fail(__FILE__, __LINE__, errno, "no SigBlk in \"%s\"", text);
  return strtoull(colon + 1, NULL, 16);
}

__attribute__((noinline)) static pid_t start_by_vfork(int out) {
  pid_t pid = vfork();
  if (pid == 0) {
    dup2(out, 1);
    execve("/bin/sh", g_script, g_env);
    _exit(127);
  }
  return pid;
}

static int exec_script(void* out) {
  dup2(*(int*)out, 1);
  execve("/bin/sh", g_script, g_env);
  return 127;
}

static pid_t start_by_clone(int out) {
  char stack[16384];
  return clone(exec_script, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &out);
}

static pid_t start_by_spawn(int out, const sigset_t* mask) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attr;
  pid_t pid = -1;
  CHECK_RC(posix_spawn_file_actions_init(&actions), 0);
  CHECK_RC(posix_spawn_file_actions_adddup2(&actions, out, 1), 0);
  CHECK_RC(posix_spawnattr_init(&attr), 0);
  if (mask != NULL) {
    CHECK_RC(posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK), 0);
    CHECK_RC(posix_spawnattr_setsigmask(&attr, mask), 0);
  }
  CHECK_RC(posix_spawn(&pid, "/bin/sh", &actions, &attr, g_script, g_env), 0);
  CHECK_RC(posix_spawnattr_destroy(&attr), 0);
  CHECK_RC(posix_spawn_file_actions_destroy(&actions), 0);
  return pid;
}

static unsigned long long child_mask(Way way) {
  char text[128] = "";
  if (way == kPopen) {
    FILE* file = popen(g_script[2], "r");
    CHECK(file != NULL);
    CHECK(fgets(text, sizeof text, file) != NULL);
    CHECK_EQ(pclose(file), 0);
    return parse(text);
  }
  int out[2];
  CHECK_OK(pipe(out));
  sigset_t only_hup;
  sigemptyset(&only_hup);
  sigaddset(&only_hup, SIGHUP);
  pid_t pid = -1;
  if (way == kFork) {
    pid = fork();
    if (pid == 0) {
      dup2(out[1], 1);
      execve("/bin/sh", g_script, g_env);
      _exit(127);
    }
  } else if (way == kVfork) {
    pid = start_by_vfork(out[1]);
  } else if (way == kClone) {
    pid = start_by_clone(out[1]);
  } else if (way == kSystem) {
    char command[128];
    snprintf(command, sizeof command, "%s > /proc/self/fd/%d", g_script[2], out[1]);
    CHECK_EQ(system(command), 0);
  } else {
    pid = start_by_spawn(out[1], way == kSpawnSetMask ? &only_hup : NULL);
  }
  CHECK_OK(close(out[1]));
  CHECK(read(out[0], text, sizeof text - 1) > 0);
  CHECK_OK(close(out[0]));
  if (way != kSystem) CHECK_CHILD_EXITS(pid, 0);
  return parse(text);
}

static void* run(void* arg) {
  unsigned long long want = (unsigned long)arg;
  sigset_t mask;
  sigemptyset(&mask);
  for (int signal = 1; signal < 32; ++signal)
    if (want >> (signal - 1) & 1) sigaddset(&mask, signal);
  sigset_t before;
  CHECK_RC(pthread_sigmask(SIG_SETMASK, &mask, &before), 0);
  for (Way way = kFork; way < kWays; ++way) {
    unsigned long long got = child_mask(way);
    unsigned long long wanted = way == kSpawnSetMask ? 1u << (SIGHUP - 1) : want;
    if (got != wanted) check_fail(__FILE__, __LINE__, 0, "way %d: mask %llx is not %llx", (int)way, got, wanted);
  }
  // And our own is as before.
  sigset_t now;
  CHECK_RC(pthread_sigmask(SIG_SETMASK, &before, &now), 0);
  for (int signal = 1; signal < 32; ++signal) CHECK_EQ(sigismember(&now, signal), sigismember(&mask, signal));
  return NULL;
}

int main(void) {
  const unsigned long usr = 1ul << (SIGUSR1 - 1) | 1ul << (SIGUSR2 - 1);
  const unsigned long more = 1ul << (SIGALRM - 1) | 1ul << (SIGTERM - 1) | 1ul << (SIGINT - 1);
  run((void*)0);
  run((void*)usr);
  join_thread(start_thread(run, (void*)0));
  pthread_t threads[3] = {start_thread(run, (void*)0), start_thread(run, (void*)usr), start_thread(run, (void*)more)};
  for (int i = 0; i < 3; ++i) join_thread(threads[i]);
  return 0;
}
