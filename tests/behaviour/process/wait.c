// waitpid(2), wait4(2), waitid(2), wait(2) from workers: each blocks its caller only, reports exits, kills and stops,
// sees children of other threads, WNOHANG doesn't block, ECHILD when there is none.
#include "../check.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

enum { kWorkers = 8 };

// A child that ends with `code` when its stdin, a pipe, is closed; the pipe's write end is returned.
static pid_t start_child(int code, int* release) {
  int gate[2];
  CHECK_OK(pipe(gate));
  pid_t pid = fork();
  CHECK_OK(pid);
  if (pid == 0) {
    char byte;
    close(gate[1]);
    while (read(gate[0], &byte, 1) > 0) {
    }
    _exit(code);
  }
  CHECK_OK(close(gate[0]));
  *release = gate[1];
  return pid;
}

typedef struct {
  pid_t pid;
  int code;
  int way;
  atomic_int waiting;
  atomic_int done;
} Wait;

static void* wait_for(void* arg) {
  Wait* wait = arg;
  int status = 0;
  struct rusage usage;
  siginfo_t info;
  memset(&info, 0, sizeof info);
  memset(&usage, 0xff, sizeof usage);
  atomic_store(&wait->waiting, 1);
  errno = 99;
  switch (wait->way) {
    case 0:
      CHECK_EQ(waitpid(wait->pid, &status, 0), wait->pid);
      break;
    case 1:
      CHECK_EQ(wait4(wait->pid, &status, 0, &usage), wait->pid);
      CHECK(usage.ru_maxrss >= 0);
      break;
    case 2:
      CHECK_EQ(waitid(P_PID, (id_t)wait->pid, &info, WEXITED | WNOWAIT), 0);
      CHECK_EQ(info.si_pid, wait->pid);
      CHECK_EQ(info.si_code, CLD_EXITED);
      CHECK_EQ(info.si_status, wait->code);
      CHECK_EQ(waitid(P_PID, (id_t)wait->pid, &info, WEXITED), 0);
      status = info.si_status << 8;
      break;
    default:
      for (pid_t got = 0; got != wait->pid; usleep(100)) {
        got = waitpid(wait->pid, &status, WNOHANG);
        CHECK(got == 0 || got == wait->pid);
      }
      break;
  }
  if (wait->way != 3) CHECK_EQ(errno, 99);
  atomic_store(&wait->done, 1);
  CHECK(WIFEXITED(status));
  CHECK_EQ(WEXITSTATUS(status), wait->code);
  CHECK_ERR(waitpid(wait->pid, &status, 0), ECHILD);
  return NULL;
}

static void* wait_for_stops(void* arg) {
  int release;
  pid_t pid = start_child(3, &release);
  int status;
  CHECK_OK(kill(pid, SIGSTOP));
  CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
  CHECK(WIFSTOPPED(status));
  CHECK_EQ(WSTOPSIG(status), SIGSTOP);
  CHECK_EQ(waitpid(pid, &status, WNOHANG | WUNTRACED), 0);
  CHECK_OK(kill(pid, SIGCONT));
  CHECK_EQ(waitpid(pid, &status, WCONTINUED), pid);
  CHECK(WIFCONTINUED(status));
  CHECK_OK(kill(pid, SIGKILL));
  siginfo_t info;
  CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WEXITED), 0);
  CHECK_EQ(info.si_code, CLD_KILLED);
  CHECK_EQ(info.si_status, SIGKILL);
  CHECK_OK(close(release));
  return arg;
}

static void* wait_for_any(void* arg) {
  int release[4];
  int codes = 0;
  for (int i = 0; i < 4; ++i) start_child(1 << i, &release[i]);
  for (int i = 0; i < 4; ++i) CHECK_OK(close(release[i]));
  for (int i = 0; i < 4; ++i) {
    int status;
    CHECK_OK(i % 2 ? wait(&status) : waitpid(-1, &status, 0));
    CHECK(WIFEXITED(status));
    codes += WEXITSTATUS(status);
  }
  CHECK_EQ(codes, 15);
  CHECK_ERR(wait(NULL), ECHILD);
  CHECK_ERR(waitpid(-1, NULL, WNOHANG), ECHILD);
  return arg;
}

int main(void) {
  static Wait waits[kWorkers];
  int release[kWorkers];
  pthread_t threads[kWorkers];
  // The write ends are inherited by later children: close them in reverse order of creation, so each gets its EOF.
  for (int i = 0; i < kWorkers; ++i) {
    waits[i].code = 30 + i;
    waits[i].way = i % 4;
    waits[i].pid = start_child(waits[i].code, &release[i]);
  }
  for (int i = 0; i < kWorkers; ++i) threads[i] = start_thread(wait_for, &waits[i]);
  for (int i = 0; i < kWorkers; ++i)
    while (!atomic_load(&waits[i].waiting)) sleep_ms(1);
  sleep_ms(5);
  for (int i = 0; i < kWorkers; ++i) CHECK_EQ(atomic_load(&waits[i].done), 0);
  for (int i = kWorkers; i-- > 0;) {
    CHECK_OK(close(release[i]));
    join_thread(threads[i]);
  }
  join_thread(start_thread(wait_for_stops, NULL));
  wait_for_stops(NULL);
  join_thread(start_thread(wait_for_any, NULL));
  wait_for_any(NULL);
  return 0;
}
