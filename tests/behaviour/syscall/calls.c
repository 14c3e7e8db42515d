// syscall(2) does what the functions of the calls' names do, for a worker and for main: reads and writes that wait for each other, sockets,
// readiness with the kernel's signal sets and what is left of the time, sleep, children, signal masks, affinity; never a cancellation point.
#include "../check.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static void* send_one_later(void* arg) {
  sleep_ms(3);
  CHECK_EQ(syscall(SYS_write, *(int*)arg, "x", 1), 1);
  return NULL;
}

static void check_reads(void) {
  int p[2], s[2];
  char c = 0;
  struct iovec one = {&c, 1};
  CHECK_OK(pipe(p));
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
  for (int how = 0; how < 6; ++how) {
    int from = how < 2 ? p[0] : s[0], to = how < 2 ? p[1] : s[1];
    pthread_t sender = start_thread(send_one_later, &to);
    struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1};
    struct pollfd watched = {from, POLLIN, 0};
    c = 0;
    switch (how) {
      case 0: CHECK_EQ(syscall(SYS_read, from, &c, 1), 1); break;
      case 1: CHECK_EQ(syscall(SYS_readv, from, &one, 1), 1); break;
      case 2: CHECK_EQ(syscall(SYS_recvfrom, from, &c, 1, 0, NULL, NULL), 1); break;
      case 3: CHECK_EQ(syscall(SYS_recvmsg, from, &message, 0), 1); break;
      case 4: CHECK_EQ(syscall(SYS_poll, &watched, 1, -1), 1); CHECK_EQ(syscall(SYS_read, from, &c, 1), 1); break;
      default: CHECK_EQ(syscall(SYS_ppoll, &watched, 1, NULL, NULL, 8), 1); CHECK_EQ(syscall(SYS_read, from, &c, 1), 1);
    }
    CHECK_EQ(c, 'x');
    join_thread(sender);
  }
  CHECK_EQ(syscall(SYS_sendto, s[1], "yz", 2, 0, NULL, 0), 2);
  CHECK_EQ(syscall(SYS_writev, s[0], &one, 1), 1);
  CHECK_OK(syscall(SYS_dup2, p[0], p[1]));
  CHECK_OK(syscall(SYS_fcntl, s[0], F_SETFL, O_NONBLOCK));
  CHECK_EQ(syscall(SYS_read, s[0], &c, 1), 1);
  CHECK_EQ(syscall(SYS_read, s[0], &c, 1), 1);
  CHECK_ERR(syscall(SYS_read, s[0], &c, 1), EAGAIN);
  CHECK_ERR(syscall(SYS_read, 9999, &c, 1), EBADF);
  CHECK_ERR(syscall(SYS_read, s[1], (void*)8, 1), EFAULT);
  for (int i = 0; i < 2; ++i) {
    CHECK_OK(syscall(SYS_close, p[i]));
    CHECK_OK(syscall(SYS_close, s[i]));
  }
  CHECK_ERR(syscall(SYS_close, s[1]), EBADF);
}

static void check_readiness(void) {
  int p[2];
  CHECK_OK(pipe(p));
  struct pollfd watched = {p[0], POLLIN, 0};
  unsigned long mask[2] = {0, 0};
  struct timespec time = {0, 3000000};
  CHECK_EQ(syscall(SYS_ppoll, &watched, 1, &time, mask, 8), 0);
  CHECK(time.tv_sec == 0 && time.tv_nsec == 0);
  CHECK_ERR(syscall(SYS_ppoll, &watched, 1, &time, mask, 16), EINVAL);
  CHECK_ERR(syscall(SYS_ppoll, &watched, 1, &time, (void*)8, 8), EFAULT);
  fd_set reads;
  FD_ZERO(&reads);
  FD_SET(p[0], &reads);
  CHECK_OK(write(p[1], "x", 1));
  struct {
    const void* set;
    size_t size;
  } pair = {mask, 8};
  time = (struct timespec){100, 0};
  CHECK_EQ(syscall(SYS_pselect6, p[0] + 1, &reads, NULL, NULL, &time, &pair), 1);
  CHECK(FD_ISSET(p[0], &reads));
  CHECK(time.tv_sec >= 90 && time.tv_sec < 100);
  pair.size = 4;
  CHECK_ERR(syscall(SYS_pselect6, p[0] + 1, &reads, NULL, NULL, &time, &pair), EINVAL);
  int epoll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = 77}, got;
  CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, p[0], &event));
  CHECK_EQ(syscall(SYS_epoll_wait, epoll, &got, 1, -1), 1);
  CHECK_EQ(syscall(SYS_epoll_pwait, epoll, &got, 1, -1, mask, 8), 1);
  CHECK_EQ(got.data.fd, 77);
  CHECK_ERR(syscall(SYS_epoll_pwait, epoll, &got, 1, -1, mask, 9), EINVAL);
  CHECK_OK(close(epoll));
  CHECK_OK(close(p[0]));
  CHECK_OK(close(p[1]));
}

static void check_time(void) {
  long long begun = now_ms();
  struct timespec time = {0, 4000000}, bad = {0, -1};
  CHECK_EQ(syscall(SYS_nanosleep, &time, NULL), 0);
  CHECK_EQ(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &time, NULL), 0);
  CHECK(now_ms() - begun >= 7);
  CHECK_ERR(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &bad, NULL), EINVAL);
  CHECK_ERR(syscall(SYS_nanosleep, &bad, NULL), EINVAL);
  CHECK_ERR(syscall(SYS_nanosleep, (void*)8, NULL), EFAULT);
  CHECK_EQ(syscall(SYS_sched_yield), 0);
}

static void check_children(void) {
  int status = 0;
  siginfo_t info;
  pid_t child = fork();
  if (child == 0) _exit(5);
  CHECK_EQ(syscall(SYS_waitid, P_PID, child, &info, WEXITED | WNOWAIT, NULL), 0);
  CHECK_EQ(info.si_status, 5);
  CHECK_EQ(syscall(SYS_wait4, child, &status, 0, NULL), child);
  CHECK_EQ(WEXITSTATUS(status), 5);
  CHECK_ERR(syscall(SYS_wait4, child, &status, 0, NULL), ECHILD);
}

static void check_identity(void) {
  unsigned long before = 0, usr1 = 1ul << (SIGUSR1 - 1), now = 0;
  CHECK_EQ(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &usr1, &before, 8), 0);
  sigset_t seen;
  CHECK_RC(pthread_sigmask(SIG_BLOCK, NULL, &seen), 0);
  CHECK(sigismember(&seen, SIGUSR1));
  CHECK_EQ(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, &now, 8), 0);
  CHECK(now & usr1);
  CHECK_ERR(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, 16), EINVAL);
  CHECK_ERR(syscall(SYS_rt_sigprocmask, SIG_SETMASK, (void*)8, NULL, 8), EFAULT);
  CHECK_EQ(syscall(SYS_gettid), gettid());
  CHECK_EQ(syscall(SYS_tgkill, getpid(), gettid(), 0), 0);
  CHECK_EQ(syscall(SYS_tkill, gettid(), 0), 0);
  CHECK_ERR(syscall(SYS_tgkill, getpid(), 0x3fffff, 0), ESRCH);
  cpu_set_t set;
  memset(&set, 0, sizeof set);
  long size = syscall(SYS_sched_getaffinity, 0, sizeof set, &set);
  CHECK(size > 0 && size <= (long)sizeof set);
  CHECK(CPU_COUNT(&set) > 0);
  CHECK_EQ(syscall(SYS_sched_setaffinity, 0, size, &set), 0);
}

static void* everything(void* arg) {
  check_reads();
  check_readiness();
  check_time();
  check_children();
  check_identity();
  return arg;
}

static int gate[2];
static int through;
static void* read_cancelled(void* arg) {
  char c;
  CHECK_EQ(syscall(SYS_read, gate[0], &c, 1), 1);  // cancelled meanwhile, and yet it goes on
  through = 1;
  CHECK_EQ(syscall(SYS_close, gate[0]), 0);
  pthread_testcancel();
  through = 2;
  return arg;
}

static int left;
static void count_left(void* arg) {
  (void)arg;
  ++left;
}
static void* exit_bare(void* arg) {
  pthread_cleanup_push(count_left, NULL);
  syscall(SYS_exit, 3);
  pthread_cleanup_pop(1);
  return arg;
}

int main(void) {
  everything(NULL);
  join_thread(start_thread(everything, NULL));
  everything(NULL);
  CHECK_OK(pipe(gate));
  pthread_t reader = start_thread(read_cancelled, NULL);
  sleep_ms(5);
  CHECK_RC(pthread_cancel(reader), 0);
  sleep_ms(5);
  CHECK_OK(write(gate[1], "x", 1));
  CHECK(join_thread(reader) == PTHREAD_CANCELED);
  CHECK_EQ(through, 1);
  // exit(2) ends the thread, without its clean-up handlers.
  for (int i = 0; i < 50; ++i) join_thread(start_thread(exit_bare, NULL));
  CHECK_EQ(left, 0);
  return 0;
}
