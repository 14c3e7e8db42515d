// fork(2) in a worker, whose child then ends the thread: by return from the start routine or by pthread_exit. The
// thread is the last of its process: cleanup handlers and TSD destructors run, then exit(0) with its atexit handlers.
#include "../check.h"

#include <semaphore.h>

static int g_pipe[2];
static sem_t g_never;
static pid_t g_child[2];
static pthread_key_t g_key;
static pid_t g_parent;

static void say(char c) { CHECK_EQ(write(g_pipe[1], &c, 1), 1); }

static void at_exit(void) {
  if (getpid() != g_parent) say('E');
}

static void on_key(void* value) {
  (void)value;
  if (getpid() != g_parent) say('k');
}

static void on_cleanup(void* arg) {
  (void)arg;
  say('c');
}

static void* blocked(void* arg) {
  sem_wait(&g_never);
  return arg;
}

static void* fork_and_leave(void* arg) {
  int by_exit = (int)(long)arg;
  CHECK_RC(pthread_setspecific(g_key, &g_key), 0);
  g_child[by_exit] = fork();
  CHECK_OK(g_child[by_exit]);
  if (g_child[by_exit] != 0) return NULL;
  if (by_exit) {
    pthread_cleanup_push(on_cleanup, NULL);
    pthread_exit((void*)55);
    pthread_cleanup_pop(0);
  }
  return (void*)55;
}

int main(void) {
  g_parent = getpid();
  CHECK_OK(sem_init(&g_never, 0, 0));
  CHECK_RC(pthread_key_create(&g_key, on_key), 0);
  CHECK_EQ(atexit(at_exit), 0);
  for (int i = 0; i < 5; ++i) start_thread(blocked, NULL);
  for (long by_exit = 0; by_exit < 2; ++by_exit) {
    CHECK_OK(pipe(g_pipe));
    join_thread(start_thread(fork_and_leave, (void*)by_exit));
    CHECK_OK(close(g_pipe[1]));
    CHECK_CHILD_EXITS(g_child[by_exit], 0);
    char text[16] = "";
    CHECK_OK(read(g_pipe[0], text, sizeof text - 1));
    CHECK_STR(text, by_exit ? "ckE" : "kE");
    CHECK_OK(close(g_pipe[0]));
  }
  return 0;
}
