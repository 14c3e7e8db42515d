// wait, wait3, wait4, waitpid, waitid on every kind of news: exit, kill, stop, continue; WNOHANG, WNOWAIT, ECHILD and
// other refusals; errno is kept; what the kernel says of usage. One child at a time, by a worker and by main. wait(2),
// wait4(2).
#include "../check.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

// A child that ends with `code` when it's told, by the pipe's end, to.
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

static void* release_late(void* arg) {
  sleep_ms(2);
  CHECK_OK(close(*(int*)arg));
  return NULL;
}

static void test_exit(int way) {
  int release, status = -1;
  struct rusage usage;
  siginfo_t info;
  memset(&usage, 0xff, sizeof usage);
  pid_t pid = start_child(40 + way, &release), got = 0;
  errno = 123;
  // Nothing to tell yet.
  CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
  CHECK_EQ(waitpid(-1, NULL, WNOHANG), 0);
  CHECK_EQ(wait3(NULL, WNOHANG, &usage), 0);
  CHECK_EQ(wait4(pid, NULL, WNOHANG | WUNTRACED | WCONTINUED, NULL), 0);
  memset(&info, 0xff, sizeof info);
  CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG), 0);
  CHECK_EQ(info.si_pid, 0);
  CHECK_EQ(info.si_signo, 0);
  CHECK_EQ(status, -1);
  pthread_t thread = start_thread(release_late, &release);
  switch (way) {
    case 0:
      got = waitpid(pid, &status, 0);
      break;
    case 1:
      got = wait(&status);
      break;
    case 2:
      got = wait3(&status, 0, &usage);
      break;
    case 3:
      got = wait4(pid, &status, 0, &usage);
      break;
    case 4:
      got = waitpid(0, &status, WUNTRACED | WCONTINUED);
      break;
    case 5:
      got = waitpid(pid, NULL, 0), status = (40 + way) << 8;
      break;
    default:
      for (int again = 0; again < 2; ++again) {
        memset(&info, 0xff, sizeof info);
        CHECK_EQ(waitid(way == 6 ? P_PID : P_ALL, (id_t)pid, &info, WEXITED | (again ? 0 : WNOWAIT)), 0);
        CHECK_EQ(info.si_signo, SIGCHLD);
        CHECK_EQ(info.si_code, CLD_EXITED);
        CHECK_EQ(info.si_status, 40 + way);
        CHECK_EQ(info.si_uid, getuid());
      }
      got = info.si_pid;
      status = info.si_status << 8;
  }
  CHECK_EQ(errno, 123);
  CHECK_EQ(got, pid);
  CHECK(WIFEXITED(status));
  CHECK_EQ(WEXITSTATUS(status), 40 + way);
  if (way == 2 || way == 3) CHECK(usage.ru_maxrss > 0 && usage.ru_maxrss < 1 << 30 && usage.ru_utime.tv_usec < 1000000);
  join_thread(thread);
  CHECK_ERR(waitpid(pid, NULL, 0), ECHILD);
}

static void test_stop(int way) {
  int release, status;
  siginfo_t info;
  pid_t pid = start_child(3, &release);
  for (int round = 0; round < 2; ++round) {
    CHECK_OK(kill(pid, SIGSTOP));
    if (way == 0) {
      CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
      CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
      CHECK_EQ(waitpid(pid, &status, WUNTRACED | WCONTINUED | WNOHANG), 0);  // told once
    } else {
      CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WEXITED), 0);
      CHECK(info.si_code == CLD_STOPPED && info.si_status == SIGSTOP && info.si_pid == pid);
    }
    CHECK_OK(kill(pid, SIGCONT));
    if (way == 0) {
      CHECK_EQ(wait4(pid, &status, WCONTINUED, NULL), pid);
      CHECK(WIFCONTINUED(status));
    } else {
      CHECK_EQ(waitid(P_ALL, 0, &info, WCONTINUED), 0);
      CHECK(info.si_code == CLD_CONTINUED && info.si_status == SIGCONT && info.si_pid == pid);
    }
  }
  CHECK_OK(kill(pid, SIGKILL));
  if (way == 0) {
    CHECK_EQ(wait(&status), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !WCOREDUMP(status));
  } else {
    CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WEXITED | WSTOPPED | WCONTINUED), 0);
    CHECK(info.si_code == CLD_KILLED && info.si_status == SIGKILL);
  }
  CHECK_OK(close(release));
}

// A child whose stop comes while the waiter waits already.
static void test_late_stop(void) {
  int status;
  pid_t pid = fork();
  CHECK_OK(pid);
  if (pid == 0) {
    sleep_ms(3);
    raise(SIGSTOP);
    _exit(5);
  }
  CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
  CHECK(WIFSTOPPED(status));
  CHECK_OK(kill(pid, SIGCONT));
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
}

static void test_pidfd(void) {
  int release;
  siginfo_t info;
  pid_t pid = start_child(9, &release);
  int fd = (int)syscall(SYS_pidfd_open, pid, 0);
  CHECK_OK(fd);
  CHECK_EQ(waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG), 0);
  CHECK_EQ(info.si_pid, 0);
  pthread_t thread = start_thread(release_late, &release);
  CHECK_EQ(waitid(P_PIDFD, (id_t)fd, &info, WEXITED), 0);
  CHECK(info.si_pid == pid && info.si_status == 9);
  join_thread(thread);
  CHECK_ERR(waitid(P_PIDFD, (id_t)fd, &info, WEXITED), ECHILD);
  CHECK_OK(close(fd));
  CHECK_ERR(waitid(P_PIDFD, (id_t)(fd + 1000), &info, WEXITED), EBADF);
}

static void* body(void* arg) {
  siginfo_t info;
  CHECK_ERR(wait(NULL), ECHILD);
  CHECK_ERR(wait3(NULL, 0, NULL), ECHILD);
  CHECK_ERR(waitpid(-1, NULL, WNOHANG), ECHILD);
  CHECK_ERR(waitpid(getpid(), NULL, 0), ECHILD);
  CHECK_ERR(waitid(P_ALL, 0, &info, WEXITED), ECHILD);
  CHECK_ERR(waitpid(-1, NULL, 0x100), EINVAL);
  CHECK_ERR(waitid(P_ALL, 0, &info, 0), EINVAL);
  CHECK_ERR(waitid(P_PID, 0, &info, WEXITED), EINVAL);
  CHECK_ERR(waitid((idtype_t)77, 0, &info, WEXITED), EINVAL);
  for (int way = 0; way < 8; ++way) test_exit(way);
  for (int way = 0; way < 2; ++way) test_stop(way);
  test_late_stop();
  test_pidfd();
  return arg;
}

int main(void) {
  join_thread(start_thread(body, NULL));
  body(NULL);
  return 0;
}
