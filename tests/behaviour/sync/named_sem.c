// sem_open(3), sem_unlink(3), sem_close(3): a named semaphore is shared with a forked child that opens it by name;
// errors EEXIST, ENOENT; waits from workers block only the worker; timed waits run out.
#include "../check.h"

#include <fcntl.h>
#include <semaphore.h>

enum { kRounds = 200 };

static char g_names[2][64];

static sem_t* open_existing(int index) {
  sem_t* sem = sem_open(g_names[index], 0);
  CHECK(sem != SEM_FAILED);
  return sem;
}

static void* answer(void* arg) {
  sem_t* request = open_existing(0);
  sem_t* reply = open_existing(1);
  for (int i = 0; i < kRounds; ++i) {
    CHECK_OK(sem_wait(request));
    CHECK_OK(sem_post(reply));
  }
  CHECK_OK(sem_close(request));
  CHECK_OK(sem_close(reply));
  return arg;
}

static void* ask(void* arg) {
  sem_t** sems = arg;
  for (int i = 0; i < kRounds; ++i) {
    CHECK_OK(sem_post(sems[0]));
    CHECK_OK(sem_wait(sems[1]));
  }
  CHECK_ERR(sem_trywait(sems[1]), EAGAIN);
  struct timespec soon = deadline_after_ms(CLOCK_REALTIME, 20);
  CHECK_ERR(sem_timedwait(sems[1], &soon), ETIMEDOUT);
  return NULL;
}

static void child_in_main(void) { answer(NULL); }

static void child_in_worker(void) { join_thread(start_thread(answer, NULL)); }

int main(void) {
  sem_t* sems[2];
  for (int i = 0; i < 2; ++i) {
    snprintf(g_names[i], sizeof g_names[i], "/vtshim-test-%d-%d", (int)getpid(), i);
    CHECK(sem_open(g_names[i], 0) == SEM_FAILED);
    CHECK_EQ(errno, ENOENT);
    sems[i] = sem_open(g_names[i], O_CREAT | O_EXCL, 0600, 0);
    if (sems[i] == SEM_FAILED && (errno == ENOSYS || errno == EACCES)) SKIP("no /dev/shm");
    CHECK(sems[i] != SEM_FAILED);
    CHECK(sem_open(g_names[i], O_CREAT | O_EXCL, 0600, 0) == SEM_FAILED);
    CHECK_EQ(errno, EEXIST);
  }
  pid_t pid = fork_child(child_in_main);
  ask(sems);
  CHECK_CHILD_EXITS(pid, 0);
  pid = fork_child(child_in_worker);
  join_thread(start_thread(ask, sems));
  CHECK_CHILD_EXITS(pid, 0);
  pthread_t worker = start_thread(answer, NULL);  // the same process
  ask(sems);
  join_thread(worker);
  for (int i = 0; i < 2; ++i) {
    CHECK_OK(sem_close(sems[i]));
    CHECK_OK(sem_unlink(g_names[i]));
    CHECK_ERR(sem_unlink(g_names[i]), ENOENT);
  }
  return 0;
}
