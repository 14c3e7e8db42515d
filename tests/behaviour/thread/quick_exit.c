// quick_exit(3), at_quick_exit(3) with threads alive, from a worker: at_quick_exit handlers run in reverse order,
// atexit handlers don't, the status is passed on.
#include "../check.h"

#include <semaphore.h>

static int g_pipe[2];
static sem_t g_never;

static void first(void) { CHECK_EQ(write(g_pipe[1], "1", 1), 1); }
static void second(void) { CHECK_EQ(write(g_pipe[1], "2", 1), 1); }
static void at_exit(void) { CHECK_EQ(write(g_pipe[1], "X", 1), 1); }

static void* blocked(void* arg) {
  sem_wait(&g_never);
  return arg;
}

static void* quit(void* arg) {
  sleep_ms(2);
  quick_exit(23);
  return arg;
}

static void child(void) {
  CHECK_OK(sem_init(&g_never, 0, 0));
  CHECK_EQ(atexit(at_exit), 0);
  CHECK_EQ(at_quick_exit(first), 0);
  CHECK_EQ(at_quick_exit(second), 0);
  for (int i = 0; i < 10; ++i) start_thread(blocked, NULL);
  join_thread(start_thread(quit, NULL));
}

int main(void) {
  CHECK_OK(pipe(g_pipe));
  pid_t pid = fork_child(child);
  CHECK_OK(close(g_pipe[1]));
  CHECK_CHILD_EXITS(pid, 23);
  char text[8] = "";
  CHECK_EQ(read(g_pipe[0], text, sizeof text - 1), 2);
  CHECK_STR(text, "21");
  return 0;
}
