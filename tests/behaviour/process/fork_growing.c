// fork(2) at any moment of other threads' pthread_create(3), which maps new stacks: the child creates threads, whose stacks are nobody else's.
#include "../check.h"

#include <semaphore.h>
#include <stdatomic.h>

enum { kForks = 60, kCreators = 3, kInChild = 40, kMost = 1500, kBytes = 20000 };

static atomic_int g_stop, g_alive;
static pthread_barrier_t g_all;
static sem_t g_end;

static void* stays(void* arg) {
  CHECK_RC(sem_wait(&g_end), 0);
  return arg;
}

static void* creates(void* arg) {
  pthread_t threads[kMost / kCreators];
  while (!atomic_load(&g_stop)) {
    int n = 0;
    while (n < kMost / kCreators && !atomic_load(&g_stop)) {
      threads[n++] = start_thread(stays, NULL);
      atomic_fetch_add(&g_alive, 1);
    }
    for (int i = 0; i < n; ++i) CHECK_OK(sem_post(&g_end));
    for (int i = 0; i < n; ++i) join_thread(threads[i]);
  }
  return arg;
}

static void* fills(void* arg) {
  volatile char bytes[kBytes];
  char mine = (char)(long)arg;
  for (int i = 0; i < kBytes; ++i) bytes[i] = mine;
  pthread_barrier_wait(&g_all);
  for (int i = 0; i < kBytes; ++i) CHECK_EQ(bytes[i], mine);
  CHECK_EQ(pthread_equal(pthread_self(), pthread_self()), 1);
  return arg;
}

static void child(void) {
  pthread_t threads[kInChild];
  CHECK_RC(pthread_barrier_init(&g_all, NULL, kInChild), 0);
  for (long i = 0; i < kInChild; ++i) threads[i] = start_thread(fills, (void*)(i + 1));
  for (long i = 0; i < kInChild; ++i) CHECK_EQ((long)join_thread(threads[i]), i + 1);
  _exit(9);
}

int main(void) {
  CHECK_OK(sem_init(&g_end, 0, 0));
  pthread_t creators[kCreators];
  for (int i = 0; i < kCreators; ++i) creators[i] = start_thread(creates, NULL);
  while (!atomic_load(&g_alive)) usleep(100);
  for (int i = 0; i < kForks; ++i) {
    pid_t pid = fork();
    CHECK_OK(pid);
    if (pid == 0) child();
    CHECK_CHILD_EXITS(pid, 9);
  }
  atomic_store(&g_stop, 1);
  for (int i = 0; i < kCreators; ++i) join_thread(creators[i]);
  return 0;
}
