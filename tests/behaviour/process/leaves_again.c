// Some seconds after its last thread has ended a process has one OS thread and no ring any more, though main sits in one blocking call
// all the while; new threads work as the first ones did, and so do main's signals and waits in between.
#include "../check.h"

#include <dirent.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

enum { kThreads = 20, kPatienceMs = 20000 };

static atomic_int g_ran, g_handled;
static sem_t g_sem;

static void* body(void* arg) {
  usleep(1000);
  CHECK_OK(sem_post(&g_sem));
  atomic_fetch_add(&g_ran, 1);
  return arg;
}

static void some_threads(void) {
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(body, NULL);
  for (int i = 0; i < kThreads; ++i) {
    while (sem_wait(&g_sem) != 0) CHECK_EQ(errno, EINTR);
    join_thread(threads[i]);
  }
}

// Entries of a folder of the process's in /proc; with `target`: links to that only.
static int count_entries(pid_t pid, const char* folder, const char* target) {
  char path[300], link[300];
  snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, folder);
  DIR* dir = opendir(path);
  CHECK(dir != NULL);
  int count = 0;
  for (struct dirent* e; (e = readdir(dir));) {
    if (e->d_name[0] == '.') continue;
    if (target) {
      snprintf(path, sizeof path, "/proc/%d/%s/%.20s", (int)pid, folder, e->d_name);
      ssize_t n = readlink(path, link, sizeof link - 1);
      if (n <= 0) continue;
      link[n] = 0;
      if (!strstr(link, target)) continue;
    }
    ++count;
  }
  CHECK_OK(closedir(dir));
  return count;
}

static void observer(void) {
  pid_t parent = getppid();
  long long end = now_ms() + kPatienceMs;
  while (count_entries(parent, "task", NULL) != 1 || count_entries(parent, "fd", "io_uring") != 0) {
    CHECK(now_ms() < end);
    sleep_ms(50);
  }
}

static void on_signal(int signal) {
  (void)signal;
  atomic_fetch_add(&g_handled, 1);
}

int main(void) {
  CHECK_OK(sem_init(&g_sem, 0, 0));
  struct sigaction action = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  some_threads();
  pid_t child = fork_child(observer);
  CHECK_CHILD_EXITS(child, 0);
  CHECK_OK(raise(SIGUSR1));
  CHECK_EQ(atomic_load(&g_handled), 1);
  struct sigaction now;
  CHECK_OK(sigaction(SIGUSR1, NULL, &now));
  CHECK(now.sa_handler == on_signal);
  some_threads();
  CHECK_RC(pthread_kill(pthread_self(), SIGUSR1), 0);
  CHECK_EQ(atomic_load(&g_handled), 2);
  CHECK_EQ(atomic_load(&g_ran), 2 * kThreads);
  return 0;
}
