// daemon(3) from main and from a worker, with others alive: the process that goes on is another, in a session of its own, with one thread, in /
// and with /dev/null as its first three descriptors, or as they were; it creates threads, which wait for each other and for the kernel.
#include "../check.h"
#include "count_threads.h"

#include <semaphore.h>
#include <sys/stat.h>

static sem_t g_never, g_sem;
static int g_pipe[2];
static pid_t g_parent;

static void* blocked(void* arg) {
  sem_wait(&g_never);
  return arg;
}

static void* post(void* arg) {
  sleep_ms(1);
  CHECK_OK(sem_post(&g_sem));
  return arg;
}

static void* become(void* arg) {
  int keep = (long)arg & 1;
  CHECK_OK(daemon(keep, keep));
  CHECK(getpid() != g_parent);
  CHECK_EQ(getsid(0), getpid());
  CHECK_EQ(gettid(), getpid());
  CHECK_EQ(count_threads(), 1);
  char here[4096];
  CHECK(getcwd(here, sizeof here) != NULL);
  CHECK_EQ(strcmp(here, "/") == 0, !keep);
  struct stat null, input;
  CHECK_OK(stat("/dev/null", &null));
  CHECK_OK(fstat(0, &input));
  if (!keep) CHECK_EQ(input.st_rdev, null.st_rdev);
  CHECK_OK(sem_init(&g_sem, 0, 0));
  pthread_t threads[5];
  for (int i = 0; i < 5; ++i) threads[i] = start_thread(post, NULL);
  for (int i = 0; i < 5; ++i) CHECK_OK(sem_wait(&g_sem));
  for (int i = 0; i < 5; ++i) join_thread(threads[i]);
  CHECK_EQ(write(g_pipe[1], "d", 1), 1);
  _exit(0);
}

int main(void) {
  CHECK_OK(chdir("/proc"));
  for (long how = 0; how < 8; ++how) {
    CHECK_OK(pipe(g_pipe));
    fflush(NULL);
    pid_t pid = fork();
    CHECK_OK(pid);
    if (pid == 0) {
      g_parent = getpid();
      CHECK_OK(sem_init(&g_never, 0, 0));
      for (int i = 0; i < 5 * (how / 4); ++i) start_thread(blocked, NULL);
      if (how & 2) join_thread(start_thread(become, (void*)how));
      else become((void*)how);
    }
    CHECK_OK(close(g_pipe[1]));
    CHECK_CHILD_EXITS(pid, 0);
    char c = 0;
    CHECK_EQ(read(g_pipe[0], &c, 1), 1);
    CHECK_EQ(c, 'd');
    CHECK_EQ(read(g_pipe[0], &c, 1), 0);
    CHECK_OK(close(g_pipe[0]));
  }
  return 0;
}
