// execve(2) from the main thread while workers are blocked or compute: the process is replaced at once, with its id,
// its open files (but those with FD_CLOEXEC) and its working directory.
#include "../check.h"

#include <fcntl.h>
#include <semaphore.h>
#include <stdatomic.h>

static sem_t g_never;
static atomic_ulong g_turns;

static void* blocked(void* arg) {
  sem_wait(&g_never);
  return arg;
}

static void* compute(void* arg) {
  while (atomic_fetch_add(&g_turns, 1) < ~0ul) {
  }
  return arg;
}

static int g_kept[2];
static int g_closed[2];

static void child(void) {
  CHECK_OK(sem_init(&g_never, 0, 0));
  CHECK_OK(chdir("/"));
  for (int i = 0; i < 10; ++i) start_thread(blocked, NULL);
  for (int i = 0; i < 2; ++i) start_thread(compute, NULL);
  char script[256];
  snprintf(script, sizeof script, "echo $$ $PWD > /proc/self/fd/%d; test -e /proc/self/fd/%d && exit 1; exit 21",
           g_kept[1], g_closed[1]);
  execl("/bin/sh", "sh", "-c", script, (char*)NULL);
  check_fail(__FILE__, __LINE__, errno, "execl returned");
}

int main(void) {
  for (int i = 0; i < 5; ++i) {
    CHECK_OK(pipe(g_kept));
    CHECK_OK(pipe2(g_closed, O_CLOEXEC));
    pid_t pid = fork_child(child);
    CHECK_CHILD_EXITS(pid, 21);
    char text[64] = "";
    char want[64];
    CHECK_OK(read(g_kept[0], text, sizeof text - 1));
    snprintf(want, sizeof want, "%d /\n", (int)pid);
    CHECK_STR(text, want);
    for (int n = 0; n < 2; ++n) {
      CHECK_OK(close(g_kept[n]));
      CHECK_OK(close(g_closed[n]));
    }
  }
  return 0;
}
