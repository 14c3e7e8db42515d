// vfork(2) + execve(2) from workers and the main thread: the child shares memory until it execs or exits, the parent
// thread goes on after that, other threads aren't harmed; failures of exec are seen through the shared memory.
#include "../check.h"

#include <sched.h>
#include <stdatomic.h>

enum { kWorkers = 6, kRounds = 8 };

static atomic_int g_stop;

pid_t __vfork(void) __attribute__((returns_twice));

__attribute__((noinline)) static pid_t start(const char* program, int code, volatile int* error) {
  char script[64];
  snprintf(script, sizeof script, "exit %d", code);
  char* argv[] = {(char*)"sh", (char*)"-c", script, NULL};
  char* envp[] = {NULL};
  pid_t pid = code % 2 ? vfork() : __vfork();
  if (pid == 0) {
    *error = -1;
    execve(program, argv, envp);
    *error = errno;
    _exit(126);
  }
  return pid;
}

static void* run(void* arg) {
  int me = (int)(long)arg;
  for (int i = 0; i < kRounds; ++i) {
    volatile int error = 1;
    errno = 0;
    pid_t pid = start("/bin/sh", me, &error);
    CHECK_OK(pid);
    CHECK_EQ(error, -1);  // the child has run before we go on
    CHECK_CHILD_EXITS(pid, me);
    pid = start("/nonexistent/program", me, &error);
    CHECK_OK(pid);
    CHECK_EQ(error, ENOENT);
    CHECK_CHILD_EXITS(pid, 126);
  }
  return NULL;
}

static void* be_busy(void* arg) {
  volatile long local[100];
  for (int i = 0; i < 100; ++i) local[i] = i;
  while (!atomic_load(&g_stop)) {
    for (int i = 0; i < 100; ++i) CHECK_EQ(local[i], i);
    sched_yield();
  }
  return arg;
}

int main(void) {
  run((void*)50);  // before there are threads
  pthread_t busy[2];
  pthread_t workers[kWorkers];
  for (int i = 0; i < 2; ++i) busy[i] = start_thread(be_busy, NULL);
  for (long i = 0; i < kWorkers; ++i) workers[i] = start_thread(run, (void*)(i + 1));
  run((void*)51);
  for (int i = 0; i < kWorkers; ++i) join_thread(workers[i]);
  atomic_store(&g_stop, 1);
  for (int i = 0; i < 2; ++i) join_thread(busy[i]);
  return 0;
}
