// exit(3), _exit(2) from a thread that is not the main one, while others are blocked in all sorts of calls: the process
// ends with that status; exit() runs the atexit handlers, in the calling thread, and flushes stdio; _exit() doesn't.
#include "../check.h"

#include <poll.h>
#include <semaphore.h>

static int g_pipe[2];
static int g_never[2];
static sem_t g_sem;
static sem_t g_ready;
static pthread_mutex_t g_locked = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;
static pthread_mutex_t g_cond_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_t g_exiting;
static int g_immediate;

static void at_exit(void) {
  CHECK(pthread_equal(pthread_self(), g_exiting));
  CHECK_EQ(write(g_pipe[1], "A", 1), 1);
}

static void* blocked(void* arg) {
  CHECK_OK(sem_post(&g_ready));
  char byte;
  struct pollfd fd = {.fd = g_never[0], .events = POLLIN};
  switch ((int)(long)arg) {
    case 0:
      sem_wait(&g_sem);
      break;
    case 1:
      pthread_mutex_lock(&g_locked);
      break;
    case 2:
      pthread_mutex_lock(&g_cond_mutex);
      for (;;) pthread_cond_wait(&g_cond, &g_cond_mutex);
    case 3:
      sleep_ms(100000);
      break;
    case 4:
      CHECK_EQ(read(g_never[0], &byte, 1), 1);
      break;
    case 5:
      poll(&fd, 1, -1);
      break;
    default:
      pause();
      break;
  }
  check_fail(__FILE__, __LINE__, errno, "a blocked call returned in thread %ld", (long)arg);
}

static void* exiting(void* arg) {
  g_exiting = pthread_self();
  for (int i = 0; i < 7; ++i) CHECK_OK(sem_wait(&g_ready));
  sleep_ms(5);
  printf("buffered");
  if (g_immediate) _exit(8);
  exit(7);
  return arg;
}

static void child(void) {
  CHECK_OK(dup2(g_pipe[1], 1));
  CHECK_OK(pipe(g_never));
  CHECK_OK(sem_init(&g_sem, 0, 0));
  CHECK_OK(sem_init(&g_ready, 0, 0));
  CHECK_RC(pthread_mutex_lock(&g_locked), 0);
  CHECK_EQ(atexit(at_exit), 0);
  for (long i = 0; i < 7; ++i) start_thread(blocked, (void*)i);
  join_thread(start_thread(exiting, NULL));
}

static void check(int immediate, int status, const char* output) {
  g_immediate = immediate;
  CHECK_OK(pipe(g_pipe));
  pid_t pid = fork_child(child);
  CHECK_OK(close(g_pipe[1]));
  CHECK_CHILD_EXITS(pid, status);
  char text[64] = "";
  CHECK_EQ(read(g_pipe[0], text, sizeof text - 1), (long)strlen(output));
  CHECK_STR(text, output);
  CHECK_OK(close(g_pipe[0]));
}

int main(void) {
  check(0, 7, "Abuffered");
  check(1, 8, "");
  return 0;
}
