// pthread_atfork(3): prepare handlers run last-registered first, parent and child handlers first-registered first, in
// the thread that forks: they see its __thread values and its id; they may lock; from workers and from the main thread.
// For system(3) and posix_spawn(3) they aren't called.
#include "../check.h"

#include <semaphore.h>
#include <spawn.h>

// What pthread_atfork is in libc.
int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void* library);
extern void* __dso_handle;

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static char g_trace[32];
static int g_used;
static __thread int t_caller;
static int g_forker;
static pthread_t g_forker_thread;

static void note(char c) {
  CHECK_EQ(t_caller, g_forker);
  CHECK(pthread_equal(pthread_self(), g_forker_thread));
  g_trace[g_used++] = c;
  g_trace[g_used] = '\0';
}

// The usual reason for these handlers: a mutex that must not be held by a thread which is absent in the child.
static void prepare1(void) {
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  note('1');
}
static void parent1(void) {
  note('p');
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
}
static void child1(void) {
  note('c');
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
}
static void prepare2(void) {
  sleep_ms(1);  // handlers may block
  note('2');
}
static void parent2(void) { note('P'); }
static void child2(void) { note('C'); }

static volatile int g_stop;

static void* lock_often(void* arg) {
  while (!g_stop) {
    CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
    usleep(50);
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  }
  return arg;
}

static void fork_once(int caller) {
  t_caller = caller;
  g_forker = caller;
  g_forker_thread = pthread_self();
  g_used = 0;
  pid_t pid = fork();
  CHECK_OK(pid);
  if (pid == 0) {
    CHECK_STR(g_trace, "21cC");
    CHECK_RC(pthread_mutex_lock(&g_mutex), 0);  // free, and nobody else is here
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
    _exit(caller);
  }
  CHECK_STR(g_trace, "21pP");
  CHECK_CHILD_EXITS(pid, caller);
}

static void* fork_in_worker(void* arg) {
  for (int i = 0; i < 5; ++i) fork_once(10 + i);
  return arg;
}

int main(void) {
  CHECK_RC(pthread_atfork(prepare1, parent1, child1), 0);
  CHECK_RC(pthread_atfork(NULL, NULL, NULL), 0);
  CHECK_RC(__register_atfork(prepare2, parent2, child2, __dso_handle), 0);
  fork_once(3);  // before there are threads
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) threads[i] = start_thread(lock_often, NULL);
  join_thread(start_thread(fork_in_worker, NULL));
  for (int i = 0; i < 5; ++i) fork_once(20 + i);
  g_used = 0;
  g_trace[0] = '\0';
  CHECK_EQ(system("true"), 0);
  pid_t pid;
  char* argv[] = {(char*)"true", NULL};
  char* envp[] = {NULL};
  CHECK_RC(posix_spawn(&pid, "/bin/true", NULL, NULL, argv, envp), 0);
  CHECK_CHILD_EXITS(pid, 0);
  CHECK_STR(g_trace, "");
  g_stop = 1;
  for (int i = 0; i < 4; ++i) join_thread(threads[i]);
  return 0;
}
