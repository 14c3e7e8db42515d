// A program that never makes a thread has one OS thread and no ring, whatever it calls. After its first thread both may be there.
#include "../check.h"
#include "count_threads.h"

#include <semaphore.h>
#include <sys/wait.h>
#include <unistd.h>

static int rings(void) {
  int n = 0;
  DIR* d = opendir("/proc/self/fd");
  for (struct dirent* e; (e = readdir(d));) {
    char target[128];
    ssize_t length = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
    if (length <= 0) continue;
    target[length] = 0;
    n += strstr(target, "io_uring") != NULL || strstr(target, "eventfd") != NULL;
  }
  closedir(d);
  return n;
}

static void* body(void* arg) { return arg; }

int main(void) {
  int pipe_ends[2];
  char c = 'x';
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  sem_t sem;
  CHECK_OK(pipe(pipe_ends));
  CHECK_EQ(write(pipe_ends[1], &c, 1), 1);
  CHECK_EQ(read(pipe_ends[0], &c, 1), 1);
  CHECK_RC(pthread_mutex_lock(&mutex), 0);
  CHECK_RC(pthread_mutex_unlock(&mutex), 0);
  CHECK_OK(sem_init(&sem, 0, 1));
  CHECK_OK(sem_wait(&sem));
  sleep_ms(1);
  pid_t child = fork();
  if (child == 0) _exit(count_threads() == 1 && rings() == 0 ? 0 : 1);
  int status;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK_EQ(status, 0);
  CHECK_EQ(count_threads(), 1);
  CHECK_EQ(rings(), 0);
  join_thread(start_thread(body, NULL));
  return 0;
}
