// Many threads fork and wait for their own children at the same time, by every call that names one; a thread that takes
// any child gets only what is left; two threads that wait for the same child: one gets it, the other ECHILD. wait(2).
#include "../check.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

enum { kThreads = 20, kChildren = 4 };

static void* own_children(void* arg) {
  int me = (int)(long)arg;
  pid_t pids[kChildren];
  for (int i = 0; i < kChildren; ++i) {
    CHECK_OK(pids[i] = fork());
    if (pids[i] == 0) {
      if (i % 2) sleep_ms(1 + i);
      if (i == 2) raise(SIGTERM);
      _exit((me * kChildren + i) % 256);
    }
  }
  for (int i = kChildren; i-- > 0;) {
    int status = 0;
    siginfo_t info;
    struct rusage usage;
    switch ((me + i) % 3) {
      case 0:
        CHECK_EQ(waitpid(pids[i], &status, 0), pids[i]);
        break;
      case 1:
        CHECK_EQ(wait4(pids[i], &status, 0, &usage), pids[i]);
        break;
      default:
        CHECK_EQ(waitid(P_PID, (id_t)pids[i], &info, WEXITED), 0);
        CHECK_EQ(info.si_pid, pids[i]);
        status = info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status;
    }
    if (i == 2)
      CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    else
      CHECK(WIFEXITED(status) && WEXITSTATUS(status) == (me * kChildren + i) % 256);
  }
  return NULL;
}

static pid_t shared;
static atomic_int got, missed, waiting;

static void* same_child(void* arg) {
  int status;
  atomic_fetch_add(&waiting, 1);
  pid_t r = waitpid(shared, &status, 0);
  if (r == shared) {
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 6);
    atomic_fetch_add(&got, 1);
  } else {
    CHECK(r == -1 && errno == ECHILD);
    atomic_fetch_add(&missed, 1);
  }
  return arg;
}

int main(void) {
  pthread_t threads[kThreads];
  signal(SIGTERM, SIG_DFL);
  for (long i = 0; i < kThreads; ++i) threads[i] = start_thread(own_children, (void*)i);
  own_children((void*)(long)kThreads);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_ERR(wait(NULL), ECHILD);

  int gate[2];
  char c;
  CHECK_OK(pipe(gate));
  CHECK_OK(shared = fork());
  if (shared == 0) {
    close(gate[1]);
    while (read(gate[0], &c, 1) > 0) {
    }
    _exit(6);
  }
  for (int i = 0; i < 4; ++i) threads[i] = start_thread(same_child, NULL);
  while (waiting < 4) sleep_ms(1);
  sleep_ms(2);
  CHECK_OK(close(gate[1]));
  for (int i = 0; i < 4; ++i) join_thread(threads[i]);
  CHECK_EQ(got, 1);
  CHECK_EQ(missed, 3);

  // SIGCHLD ignored: nothing to collect, the wait ends with the last child.
  signal(SIGCHLD, SIG_IGN);
  CHECK_OK(shared = fork());
  if (shared == 0) {
    sleep_ms(3);
    _exit(0);
  }
  got = missed = 0;
  join_thread(start_thread(same_child, NULL));
  CHECK_EQ(missed, 1);
  return 0;
}
