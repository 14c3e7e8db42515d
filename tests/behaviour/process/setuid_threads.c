// setgroups, seteuid, setegid and setuid change every thread of the process, also those that wait, compute or sit in a system call, whichever
// thread calls: each sees its new ids, and so does every OS thread.
#include "../check.h"

#include <dirent.h>
#include <grp.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/syscall.h>

static sem_t g_go, g_ready;
static atomic_int g_stop;
static int g_pipe[2];

static void expect_everywhere(unsigned uid, unsigned gid) {
  DIR* d = opendir("/proc/self/task");
  CHECK(d != NULL);
  for (struct dirent* e; (e = readdir(d));) {
    if (e->d_name[0] == '.') continue;
    char path[300], line[200];
    snprintf(path, sizeof path, "/proc/self/task/%s/status", e->d_name);
    FILE* f = fopen(path, "r");
    if (!f) continue;  // it has ended
    unsigned r, eff;
    while (fgets(line, sizeof line, f)) {
      if (sscanf(line, "Uid: %u %u", &r, &eff) == 2) CHECK_EQ(eff, uid);
      if (sscanf(line, "Gid: %u %u", &r, &eff) == 2) CHECK_EQ(eff, gid);
    }
    CHECK_EQ(fclose(f), 0);
  }
  CHECK_OK(closedir(d));
}

static void* other(void* arg) {
  char byte;
  CHECK_OK(sem_post(&g_ready));
  switch ((long)arg) {
    case 0: CHECK_OK(sem_wait(&g_go)); break;
    case 1: while (!atomic_load(&g_stop)) {} break;
    case 2: CHECK_EQ(read(g_pipe[0], &byte, 1), 1); break;
    case 3: while (!atomic_load(&g_stop)) usleep(500); break;
  }
  CHECK_EQ(geteuid(), 65534);
  CHECK_EQ(syscall(SYS_geteuid), 65534);
  return arg;
}

// A thread that has been joined is an OS thread for a moment still, with the ids that it had: libc leaves out who ends.
static void wait_until_gone(pid_t tid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d", tid);
  while (access(path, F_OK) == 0) sched_yield();
}

static pid_t g_changed_by;

static void* changes(void* arg) {
  g_changed_by = gettid();
  for (int i = 0; i < 20; ++i) {
    CHECK_OK(setegid(1000));
    CHECK_OK(seteuid(1000));
    expect_everywhere(1000, 1000);
    CHECK_OK(seteuid(0));
    CHECK_OK(setegid(0));
    expect_everywhere(0, 0);
    usleep(0);
  }
  return arg;
}

int main(void) {
  if (geteuid() != 0) SKIP("not root");
  CHECK_OK(sem_init(&g_go, 0, 0));
  CHECK_OK(sem_init(&g_ready, 0, 0));
  CHECK_OK(pipe(g_pipe));
  pthread_t threads[4];
  for (long i = 0; i < 4; ++i) threads[i] = start_thread(other, (void*)i);
  for (int i = 0; i < 4; ++i) CHECK_OK(sem_wait(&g_ready));
  join_thread(start_thread(changes, NULL));
  wait_until_gone(g_changed_by);
  changes(NULL);
  CHECK_OK(setgroups(0, NULL));
  CHECK_OK(setgid(65534));
  CHECK_OK(setuid(65534));
  expect_everywhere(65534, 65534);
  CHECK_ERR(setuid(0), EPERM);
  CHECK_OK(sem_post(&g_go));
  CHECK_EQ(write(g_pipe[1], "x", 1), 1);
  atomic_store(&g_stop, 1);
  for (int i = 0; i < 4; ++i) join_thread(threads[i]);
  return 0;
}
