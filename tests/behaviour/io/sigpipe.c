// Writing where nobody reads any more: EPIPE and SIGPIPE, or with MSG_NOSIGNAL EPIPE alone. The signal's default ends
// the process, also when a thread writes. send(2), pipe(7).
#include "io.h"

enum { kWays = 6 };
static int pair[2], way;

static ssize_t put(int flags) {
  struct iovec v = {"x", 1};
  struct msghdr message = {.msg_iov = &v, .msg_iovlen = 1};
  switch (way) {
    case 0:
      return write(pair[1], "x", 1);
    case 1:
      return writev(pair[1], &v, 1);
    case 2:
      return pwritev2(pair[1], &v, 1, -1, 0);
    case 3:
      return send(pair[1], "x", 1, flags);
    case 4:
      return sendto(pair[1], "x", 1, flags, NULL, 0);
    default:
      return sendmsg(pair[1], &message, flags);
  }
}

static void open_broken(int is_pipe) {
  if (is_pipe)
    CHECK_OK(pipe(pair));
  else
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  CHECK_OK(close(pair[0]));
}

static void* fail_quietly(void* arg) {
  CHECK_ERR(put(way >= 3 ? MSG_NOSIGNAL : 0), EPIPE);
  return arg;
}

static void* die(void* arg) {
  put(0);
  return arg;
}

static void child_in_thread(void) { join_thread(start_thread(die, NULL)); }
static void child_in_main(void) { die(NULL); }

// A child whose thread writes with MSG_NOSIGNAL lives on, though the signal's action is the default.
static void child_survives(void) { join_thread(start_thread(fail_quietly, NULL)); }

static void check_killed(pid_t pid) {
  int status = wait_status(pid);
  CHECK(WIFSIGNALED(status));
  CHECK_EQ(WTERMSIG(status), SIGPIPE);
}

int main(void) {
  signal(SIGPIPE, SIG_DFL);
  for (way = 0; way < kWays; ++way)
    for (int is_pipe = 0; is_pipe < (way < 3 ? 2 : 1); ++is_pipe) {
      open_broken(is_pipe);
      check_killed(fork_child(child_in_thread));
      check_killed(fork_child(child_in_main));
      if (way >= 3) CHECK_CHILD_EXITS(fork_child(child_survives), 0);
      CHECK_OK(close(pair[1]));
    }
  signal(SIGPIPE, SIG_IGN);
  for (way = 0; way < kWays; ++way)
    for (int is_pipe = 0; is_pipe < (way < 3 ? 2 : 1); ++is_pipe) {
      open_broken(is_pipe);
      join_thread(start_thread(fail_quietly, NULL));
      fail_quietly(NULL);
      CHECK_OK(close(pair[1]));
    }
  return 0;
}
