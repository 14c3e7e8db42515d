// Main is cancelled while it blocks in a handler that interrupted it in a wait, or computing: the handler's clean-up comes first, then main's, and main is joined.
// Fails if main stays in its handler, or a clean-up is missing.
#include "../check.h"

#include <semaphore.h>
#include <signal.h>

static int fds[4];
static volatile int in_handler, started, way;
static volatile unsigned long cleanups;
static pthread_t victim;
static sem_t never;

static void cleanup(void* what) { cleanups = cleanups << 4 | (unsigned long)what; }
static void handler(int signal) {
  char c;
  (void)signal;
  pthread_cleanup_push(cleanup, (void*)2);
  in_handler = 1;
  if (way & 1) sem_wait(&never);
  else CHECK(read(fds[2], &c, 1) != 1);
  pthread_cleanup_pop(0);
}
static void* killer(void* unused) {
  void* result;
  (void)unused;
  while (!started) sched_yield();
  if (way & 8) sleep_ms(20);
  CHECK_RC(pthread_kill(victim, SIGHUP), 0);
  while (!in_handler) sched_yield();
  if (way & 8) sleep_ms(20);
  CHECK_RC(pthread_cancel(victim), 0);
  CHECK_RC(pthread_join(victim, &result), 0);
  CHECK(result == PTHREAD_CANCELED);
  CHECK_EQ(cleanups, 0x23);
  _exit(0);
}
static void is_cancelled(void) {
  pthread_t t;
  char c;
  victim = pthread_self();
  CHECK_RC(pthread_create(&t, NULL, killer, NULL), 0);
  pthread_cleanup_push(cleanup, (void*)3);
  started = 1;
  switch (way >> 1 & 3) {
    case 0: CHECK(read(fds[0], &c, 1) != 1); break;
    case 1: for (;;) sleep(100); break;
    case 2: for (;;) { } break;
    case 3: for (;;) sem_wait(&never); break;
  }
  CHECK(read(fds[0], &c, 1) != 1);
  pthread_cleanup_pop(0);
  CHECK(!"main goes on");
}

int main(void) {
  struct sigaction a = {0};
  a.sa_handler = handler;
  CHECK_OK(sigaction(SIGHUP, &a, NULL));
  CHECK_OK(pipe(fds));
  CHECK_OK(pipe(fds + 2));
  CHECK_OK(sem_init(&never, 0, 0));
  for (way = 0; way < 16; ++way) {
    pid_t child = fork();
    CHECK_OK(child);
    if (!child) is_cancelled();
    int status;
    CHECK_OK(waitpid(child, &status, 0));
    CHECK_EQ(status, 0);
  }
  return 0;
}
