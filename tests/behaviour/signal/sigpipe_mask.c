// SIGPIPE is the writing thread's: one that blocks it gets EPIPE and a pending signal of its own, to be taken or dropped, while another that
// doesn't gets the handler, with the two taking turns.
#include "../check.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

static __thread volatile sig_atomic_t t_ran;
static atomic_int g_ran;
static void on_pipe(int signal) {
  CHECK_EQ(signal, SIGPIPE);
  ++t_ran;
  atomic_fetch_add(&g_ran, 1);
}

static int g_file;

static long write_somehow(int kind, int fd) {
  off_t start = 0;
  struct iovec one = {"x", 1};
  struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1};
  switch (kind) {
    case 0: return write(fd, "x", 1);
    case 1: return writev(fd, &one, 1);
    case 2: return sendfile(fd, g_file, &start, 1);
    case 3: return send(fd, "x", 1, 0);
    default: return sendmsg(fd, &message, 0);
  }
}

static void splice_into(const int* fds) {
  int from[2];
  char c;
  CHECK_OK(pipe(from));
  CHECK_EQ(write(from[1], "x", 1), 1);
  CHECK_EQ(splice(from[0], NULL, fds[1], NULL, 1, 0), 1);
  CHECK_EQ(read(fds[0], &c, 1), 1);
  CHECK_OK(close(from[0]));
  CHECK_OK(close(from[1]));
}

static void* writer(void* arg) {
  long index = (long)arg;
  int blocks = index % 2, fds[2];
  sigset_t set, pending;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  if (blocks) CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
  for (int i = 0; i < 100; ++i) {
    if (index % 4 < 2) CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    else CHECK_OK(pipe(fds));
    if (index % 8 >= 6) splice_into(fds);  // such a pipe can't be asked without waiting any more
    CHECK_OK(close(fds[0]));
    int kind = index % 4 < 2 ? i % 5 : i % 3;
    CHECK_ERR(write_somehow(kind, fds[1]), EPIPE);
    sched_yield();
    if (blocks) {
      CHECK_EQ(t_ran, 0);
      CHECK_OK(sigpending(&pending));
      CHECK_EQ(sigismember(&pending, SIGPIPE), 1);
      struct timespec zero = {0, 0};
      CHECK_EQ(sigtimedwait(&set, NULL, &zero), SIGPIPE);
      CHECK_ERR(sigtimedwait(&set, NULL, &zero), EAGAIN);
    } else {
      CHECK_EQ(t_ran, i + 1);
      CHECK_OK(sigpending(&pending));
      CHECK_EQ(sigismember(&pending, SIGPIPE), 0);
    }
    if (kind == 3) CHECK_ERR(send(fds[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_OK(close(fds[1]));
    sched_yield();
  }
  if (blocks) {  // unblocked with one pending: the handler, before pthread_sigmask returns
    CHECK_OK(pipe(fds));
    CHECK_OK(close(fds[0]));
    CHECK_ERR(write(fds[1], "x", 1), EPIPE);
    CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
    CHECK_EQ(t_ran, 1);
    CHECK_OK(close(fds[1]));
  }
  return arg;
}

int main(void) {
  struct sigaction action = {.sa_handler = on_pipe};
  CHECK_OK(sigaction(SIGPIPE, &action, NULL));
  g_file = open("/proc/self/exe", O_RDONLY);
  CHECK(g_file >= 0);
  pthread_t threads[8];
  for (long i = 0; i < 8; ++i) threads[i] = start_thread(writer, (void*)i);
  for (int i = 0; i < 8; ++i) join_thread(threads[i]);
  CHECK_EQ(atomic_load(&g_ran), 4 * 100 + 4);
  return 0;
}
