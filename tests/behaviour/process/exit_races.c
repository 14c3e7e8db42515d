// exit(3) while others work: from several threads and main at once, while others create threads, and hold a lock that a handler or a destructor
// wants. The process ends with the status of one of them, and no handler runs twice; if one alone calls it they run all, in reverse order: they create
// threads, join them, wait for those that live. _exit(2) and quick_exit(3) likewise.
#include "../check.h"

#include <semaphore.h>

static pthread_barrier_t g_together;
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static sem_t g_held, g_wanted, g_never;
static int g_pipe[2], g_how;

static void* identity(void* arg) { return arg; }

static void use_threads(void) {
  pthread_t threads[5];
  for (long i = 0; i < 5; ++i) threads[i] = start_thread(identity, (void*)i);
  for (long i = 0; i < 5; ++i) CHECK_EQ((long)join_thread(threads[i]), i);
}

static void first_registered(void) {
  use_threads();
  CHECK_EQ(write(g_pipe[1], "1", 1), 1);
}
static void second_registered(void) {
  CHECK_OK(sem_post(&g_wanted));
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);  // held by another, who waits for that post
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  use_threads();
  CHECK_EQ(write(g_pipe[1], "2", 1), 1);
}
__attribute__((destructor)) static void at_end(void) {
  if (!g_pipe[1]) return;
  use_threads();
  CHECK_EQ(write(g_pipe[1], "3", 1), 1);
}

static void* holder(void* arg) {
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  CHECK_OK(sem_post(&g_held));
  CHECK_OK(sem_wait(&g_wanted));
  sleep_ms(2);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  return arg;
}

static void* creator(void* arg) {
  for (;;) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, identity, NULL) == 0) pthread_join(thread, NULL);
  }
  return arg;
}

static void* ender(void* arg) {
  if (g_how >= 3 && (long)arg != 41) sem_wait(&g_never);
  if (g_how < 3) pthread_barrier_wait(&g_together);
  switch (g_how % 3) {
    case 0: exit((int)(long)arg);
    case 1: _exit((int)(long)arg);
    default: quick_exit((int)(long)arg);
  }
}

static void child(void) {
  CHECK_RC(pthread_barrier_init(&g_together, NULL, 3), 0);
  CHECK_OK(sem_init(&g_held, 0, 0));
  CHECK_OK(sem_init(&g_wanted, 0, 0));
  CHECK_OK(sem_init(&g_never, 0, 0));
  if (g_how % 3 == 0) CHECK_EQ(atexit(first_registered) | atexit(second_registered), 0);
  if (g_how % 3 == 2) CHECK_EQ(at_quick_exit(first_registered) | at_quick_exit(second_registered), 0);
  start_thread(holder, NULL);
  CHECK_OK(sem_wait(&g_held));
  for (int i = 0; i < 2; ++i) start_thread(creator, NULL);
  for (long i = 1; i < 3; ++i) start_thread(ender, (void*)(40 + i));
  ender((void*)40);
}

int main(void) {
  static const char* const kSaid[] = {"213", "", "21"};
  for (int round = 0; round < 18; ++round) {
    g_how = round % 6;
    CHECK_OK(pipe(g_pipe));
    pid_t pid = fork_child(child);
    CHECK_OK(close(g_pipe[1]));
    g_pipe[1] = 0;
    char text[8] = "";
    int n = 0, r;
    while ((r = (int)read(g_pipe[0], text + n, sizeof text - 1 - n)) > 0) n += r;
    CHECK_OK(r);
    int status = wait_status(pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) < 40 || WEXITSTATUS(status) > 42) check_fail(__FILE__, __LINE__, 0, "how %d: status 0x%x", g_how, status);
    if (g_how >= 3) CHECK_STR(text, kSaid[g_how % 3]);
    for (int i = 0; i < n; ++i) CHECK(strchr(kSaid[g_how % 3], text[i]) != NULL && strrchr(text, text[i]) == text + i);
    CHECK_OK(close(g_pipe[0]));
  }
  return 0;
}
