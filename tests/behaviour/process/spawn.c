// posix_spawn(3), posix_spawnp(3) from workers: file actions, environment, search path, process group; a missing
// program is reported as the result; 6 workers at once.
#include "../check.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>

enum { kWorkers = 6, kRounds = 5 };

static char* g_env[] = {(char*)"SPAWNED=yes", (char*)"PATH=/usr/bin:/bin", NULL};

static void spawn_and_read(const char* script, const char* want, int code) {
  int out[2];
  CHECK_OK(pipe2(out, O_CLOEXEC));
  posix_spawn_file_actions_t actions;
  CHECK_RC(posix_spawn_file_actions_init(&actions), 0);
  CHECK_RC(posix_spawn_file_actions_adddup2(&actions, out[1], 1), 0);
  CHECK_RC(posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0), 0);
  char* argv[] = {(char*)"sh", (char*)"-c", (char*)script, NULL};
  pid_t pid = -1;
  CHECK_RC(posix_spawnp(&pid, "sh", &actions, NULL, argv, g_env), 0);
  CHECK_RC(posix_spawn_file_actions_destroy(&actions), 0);
  CHECK_OK(close(out[1]));
  char text[256] = "";
  size_t used = 0;
  ssize_t got;
  while ((got = read(out[0], text + used, sizeof text - 1 - used)) > 0) used += (size_t)got;
  CHECK_OK(got);
  CHECK_OK(close(out[0]));
  CHECK_STR(text, want);
  CHECK_CHILD_EXITS(pid, code);
}

static void* run(void* arg) {
  int me = (int)(long)arg;
  for (int i = 0; i < kRounds; ++i) {
    char script[128];
    char want[128];
    snprintf(script, sizeof script, "echo $SPAWNED %d; cat; exit %d", i, me);
    snprintf(want, sizeof want, "yes %d\n", i);
    spawn_and_read(script, want, me);
    char* argv[] = {(char*)"nothing", NULL};
    pid_t pid = -1;
    CHECK_RC(posix_spawn(&pid, "/nonexistent/program", NULL, NULL, argv, g_env), ENOENT);
    CHECK_RC(posix_spawn(&pid, "/etc/passwd", NULL, NULL, argv, g_env), EACCES);
  }
  return NULL;
}

static void* run_in_group(void* arg) {
  posix_spawnattr_t attr;
  CHECK_RC(posix_spawnattr_init(&attr), 0);
  CHECK_RC(posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP), 0);
  CHECK_RC(posix_spawnattr_setpgroup(&attr, 0), 0);
  char* argv[] = {(char*)"sleep", (char*)"1000", NULL};
  pid_t pid = -1;
  CHECK_RC(posix_spawn(&pid, "/bin/sleep", NULL, &attr, argv, g_env), 0);
  CHECK_RC(posix_spawnattr_destroy(&attr), 0);
  CHECK_EQ(getpgid(pid), pid);
  CHECK_OK(kill(pid, 9));
  int status = wait_status(pid);
  CHECK(WIFSIGNALED(status));
  CHECK_EQ(WTERMSIG(status), 9);
  return arg;
}

int main(void) {
  pthread_t threads[kWorkers];
  for (long i = 0; i < kWorkers; ++i) threads[i] = start_thread(run, (void*)(i + 1));
  run((void*)20);
  for (int i = 0; i < kWorkers; ++i) join_thread(threads[i]);
  join_thread(start_thread(run_in_group, NULL));
  return 0;
}
