// pthread_exit(3) called by the main thread: the other threads go on, may join the main thread and get its result, and
// when the last of them ends the process exits with status 0 through exit(): atexit handlers run.
#include "../check.h"

#include <semaphore.h>

enum { kWorkers = 5 };

static int g_pipe[2];
static pthread_t g_main;
static sem_t g_go;

static void say(char c) { CHECK_EQ(write(g_pipe[1], &c, 1), 1); }

static void at_exit(void) { say('E'); }

static void* worker(void* arg) {
  CHECK_OK(sem_wait(&g_go));
  sleep_ms(1);
  say('w');
  return arg;
}

static void* join_main(void* arg) {
  void* result = NULL;
  CHECK_RC(pthread_join(g_main, &result), 0);
  CHECK_EQ((long)result, 99);
  say('m');
  for (int i = 0; i < kWorkers; ++i) CHECK_OK(sem_post(&g_go));
  return arg;
}

static void child(void) {
  CHECK_OK(close(g_pipe[0]));
  CHECK_OK(sem_init(&g_go, 0, 0));
  CHECK_EQ(atexit(at_exit), 0);
  g_main = pthread_self();
  for (int i = 0; i < kWorkers; ++i) CHECK_RC(pthread_detach(start_thread(worker, NULL)), 0);
  CHECK_RC(pthread_detach(start_thread(join_main, NULL)), 0);
  pthread_exit((void*)99);
}

int main(void) {
  for (int round = 0; round < 5; ++round) {
    CHECK_OK(pipe(g_pipe));
    pid_t pid = fork_child(child);
    CHECK_OK(close(g_pipe[1]));
    char text[64] = "";
    size_t used = 0;
    ssize_t got;
    while ((got = read(g_pipe[0], text + used, sizeof text - 1 - used)) > 0) used += (size_t)got;
    CHECK_OK(got);
    CHECK_STR(text, "mwwwwwE");
    CHECK_CHILD_EXITS(pid, 0);
    CHECK_OK(close(g_pipe[0]));
  }
  return 0;
}
