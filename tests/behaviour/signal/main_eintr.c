// signal(7), on the main thread while workers live (worker_eintr.c: on a worker): a handler without SA_RESTART ends each blocking call with EINTR; with SA_RESTART
// reads, receives, accepts, waits for children and sem_wait go on, while polls and sleeps end all the same. The handler sees
// the thread's own __thread variables and pthread_self.
#include "../check.h"

#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>

enum call { kRead, kRecv, kRecvmsg, kAccept, kWaitpid, kSemWait, kFlock, kRestartable,
            kPoll = kRestartable, kPpoll, kSelect, kPselect, kEpoll, kNanosleep, kClockNanosleep, kSemTimedwait, kPause, kSigsuspend,
            kTimedRecv, kCalls };

static pthread_t g_target;
static __thread int t_mark;
static atomic_int g_handled, g_calling, g_done;
static int g_pipe[2], g_pair[2], g_timed[2], g_listener, g_epoll, g_lock[2], g_child_pipe[2];
static sem_t g_sem, g_never;

static void on_signal(int signal) {
  CHECK_EQ(signal, SIGUSR1);
  CHECK_EQ(t_mark, 77);
  CHECK(pthread_equal(pthread_self(), g_target));
  atomic_fetch_add(&g_handled, 1);
}

static int call(enum call what, pid_t child) {
  char byte;
  int status;
  struct iovec one = {&byte, 1};
  struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1};
  struct pollfd p = {.fd = g_pipe[0], .events = POLLIN};
  struct epoll_event event;
  struct timespec hour = {3600, 0}, soon = deadline_after_ms(CLOCK_REALTIME, 3600000);
  fd_set set;
  sigset_t none;
  FD_ZERO(&set);
  FD_SET(g_pipe[0], &set);
  sigemptyset(&none);
  switch (what) {
    case kRead: return (int)read(g_pipe[0], &byte, 1);
    case kRecv: return (int)recv(g_pair[0], &byte, 1, 0);
    case kRecvmsg: return (int)recvmsg(g_pair[0], &message, 0);
    case kAccept: return accept(g_listener, NULL, NULL);
    case kWaitpid: return waitpid(child, &status, 0);
    case kSemWait: return sem_wait(&g_sem);
    case kFlock: return flock(g_lock[0], LOCK_EX);
    case kPoll: return poll(&p, 1, -1);
    case kPpoll: return ppoll(&p, 1, &hour, &none);
    case kSelect: return select(g_pipe[0] + 1, &set, NULL, NULL, NULL);
    case kPselect: return pselect(g_pipe[0] + 1, &set, NULL, NULL, &hour, &none);
    case kEpoll: return epoll_wait(g_epoll, &event, 1, -1);
    case kNanosleep: return nanosleep(&hour, &soon);
    case kClockNanosleep: errno = clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &soon, NULL); return errno ? -1 : 0;
    case kSemTimedwait: return sem_timedwait(&g_sem, &soon);
    case kPause: return pause();
    case kSigsuspend: return sigsuspend(&none);
    case kTimedRecv: return (int)recv(g_timed[0], &byte, 1, 0);
    default: return 0;
  }
}

// Lets a call that was restarted end, after handlers have run over it.
static void satisfy(enum call what) {
  struct sockaddr_un name;
  socklen_t size = sizeof name;
  switch (what) {
    case kRead: CHECK_EQ(write(g_pipe[1], "x", 1), 1); break;
    case kRecv: case kRecvmsg: CHECK_EQ(send(g_pair[1], "x", 1, 0), 1); break;
    case kAccept: {
      CHECK_OK(getsockname(g_listener, (struct sockaddr*)&name, &size));
      int fd = socket(AF_UNIX, SOCK_STREAM, 0);
      CHECK_OK(connect(fd, (struct sockaddr*)&name, size));
      CHECK_OK(close(fd));
      break;
    }
    case kWaitpid: CHECK_EQ(write(g_child_pipe[1], "x", 1), 1); break;
    case kSemWait: CHECK_OK(sem_post(&g_sem)); break;
    case kFlock: CHECK_OK(flock(g_lock[1], LOCK_UN)); break;
    default: break;
  }
}

// Signals the thread until its call has ended; one that should be restarted is satisfied after ten of them.
static void* signaller(void* restart) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
  for (int what = 0; what < kCalls; ++what) {
    while (atomic_load(&g_calling) <= what) sched_yield();
    int satisfied = 0;
    for (int sent = 0; atomic_load(&g_done) <= what; ++sent) {
      int before = atomic_load(&g_handled);
      CHECK_RC(pthread_kill(g_target, SIGUSR1), 0);
      while (atomic_load(&g_handled) == before && atomic_load(&g_done) <= what) sched_yield();
      usleep(200);
      if (restart && what < kRestartable && sent == 10 && !satisfied) satisfy(what), satisfied = 1;
    }
  }
  return restart;
}

static void* blocked(void* arg) {
  while (sem_wait(&g_never) != 0) CHECK_EQ(errno, EINTR);
  return arg;
}

static void round_of_calls(int restart) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = restart ? SA_RESTART : 0};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  atomic_store(&g_calling, 0);
  atomic_store(&g_done, 0);
  pthread_t thread = start_thread(signaller, restart ? &g_sem : NULL);
  for (int what = 0; what < kCalls; ++what) {
    pid_t child = 0;
    if (what == kWaitpid) {
      child = fork();
      if (child == 0) {
        char byte;
        _exit(read(g_child_pipe[0], &byte, 1) == 1 ? 0 : 1);
      }
      CHECK_OK(child);
    }
    CHECK_OK(flock(g_lock[1], LOCK_EX));
    int ran = atomic_load(&g_handled);
    atomic_store(&g_calling, what + 1);
    int r = call((enum call)what, child), e = errno;
    atomic_store(&g_done, what + 1);
    if (restart && what < kRestartable) {
      if (r < 0) check_fail(__FILE__, __LINE__, e, "call %d is restarted", what);
      CHECK(atomic_load(&g_handled) - ran >= 10);
      if (what == kAccept) CHECK_OK(close(r));
      if (what == kFlock) CHECK_OK(flock(g_lock[0], LOCK_UN));
    } else {
      if (r != -1 || e != EINTR) check_fail(__FILE__, __LINE__, e, "call %d ends with EINTR: %d", what, r);
      CHECK(atomic_load(&g_handled) > ran);
      if (what == kWaitpid) {
        satisfy(kWaitpid);
        CHECK_CHILD_EXITS(child, 0);
      }
    }
  }
  join_thread(thread);
}

static void* run_calls(void* arg) {
  t_mark = 77;
  g_target = pthread_self();
  CHECK_OK(pipe(g_pipe));
  CHECK_OK(pipe(g_child_pipe));
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, g_pair));
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, g_timed));
  struct timeval long_time = {3600, 0};
  CHECK_OK(setsockopt(g_timed[0], SOL_SOCKET, SO_RCVTIMEO, &long_time, sizeof long_time));
  g_listener = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  CHECK_OK(bind(g_listener, (struct sockaddr*)&name, sizeof(sa_family_t)));  // an abstract name of the kernel's choice
  CHECK_OK(listen(g_listener, 5));
  CHECK_OK(g_epoll = epoll_create1(0));
  struct epoll_event event = {.events = EPOLLIN, .data.fd = g_pipe[0]};
  CHECK_OK(epoll_ctl(g_epoll, EPOLL_CTL_ADD, g_pipe[0], &event));
  char path[] = "/tmp/main_eintr.XXXXXX";
  CHECK_OK(g_lock[0] = mkstemp(path));
  CHECK_OK(g_lock[1] = open(path, O_RDWR));
  CHECK_OK(unlink(path));
  CHECK_OK(sem_init(&g_sem, 0, 0));
  CHECK_OK(sem_init(&g_never, 0, 0));
  pthread_t others[4];
  for (int i = 0; i < 4; ++i) others[i] = start_thread(blocked, NULL);
  round_of_calls(0);
  round_of_calls(1);
  for (int i = 0; i < 4; ++i) CHECK_OK(sem_post(&g_never));
  for (int i = 0; i < 4; ++i) join_thread(others[i]);
  return arg;
}

int main(void) {
#ifdef ON_WORKER
  join_thread(start_thread(run_calls, NULL));
#else
  run_calls(NULL);
#endif
  return 0;
}
