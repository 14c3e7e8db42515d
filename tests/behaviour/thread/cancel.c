// pthread_cancel(3), deferred: a thread that waits at any of these cancellation points ends with PTHREAD_CANCELED, its cleanup handlers run
// (with the mutex held after a cond wait) and its thread-specific data is destroyed. With cancellation disabled the wait goes on, and the
// request is acted on when it is enabled and a cancellation point comes. Mutexes and barriers are no cancellation points.
#include "../check.h"

#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum point { kRead, kReadv, kRecv, kRecvfrom, kRecvmsg, kAccept, kWrite, kSend, kPoll, kPpoll, kSelect, kEpoll, kNanosleep, kClockNanosleep, kUsleep,
             kSleep, kSemWait, kSemTimedwait, kCondWait, kCondTimedwait, kJoin, kWaitpid, kPause, kSigwait, kPoints };

static int g_pipe[2], g_full[2], g_pair[2], g_full_pair[2], g_listener, g_epoll;
static sem_t g_sem, g_end;
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;
static pthread_key_t g_key;
static atomic_int g_cleaned, g_destroyed, g_waiting;
static pthread_t g_other;
static pid_t g_child;

static void cleanup(void* arg) {
  enum point what = (enum point)(long)arg;
  if (what == kCondWait || what == kCondTimedwait) CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  atomic_fetch_add(&g_cleaned, 1);
}
static void destroy(void* value) {
  CHECK_EQ((long)value, 7);
  atomic_fetch_add(&g_destroyed, 1);
}

static void wait_at(enum point what) {
  static char buffer[1 << 16];
  char byte;
  struct iovec one = {&byte, 1};
  struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1};
  struct pollfd p = {.fd = g_pipe[0], .events = POLLIN};
  struct epoll_event event;
  struct timespec hour = {3600, 0}, late = deadline_after_ms(CLOCK_REALTIME, 3600000);
  fd_set set;
  FD_ZERO(&set);
  FD_SET(g_pipe[0], &set);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR2);
  int signal, status;
  switch (what) {
    case kRead: (void)!read(g_pipe[0], &byte, 1); break;
    case kReadv: (void)!readv(g_pipe[0], &one, 1); break;
    case kRecv: (void)!recv(g_pair[0], &byte, 1, 0); break;
    case kRecvfrom: (void)!recvfrom(g_pair[0], &byte, 1, 0, NULL, NULL); break;
    case kRecvmsg: (void)!recvmsg(g_pair[0], &message, 0); break;
    case kAccept: accept(g_listener, NULL, NULL); break;
    case kWrite: for (;;) (void)!write(g_full[1], buffer, sizeof buffer);
    case kSend: for (;;) (void)!send(g_full_pair[1], buffer, sizeof buffer, 0);
    case kPoll: poll(&p, 1, -1); break;
    case kPpoll: ppoll(&p, 1, &hour, NULL); break;
    case kSelect: select(g_pipe[0] + 1, &set, NULL, NULL, NULL); break;
    case kEpoll: epoll_wait(g_epoll, &event, 1, -1); break;
    case kNanosleep: nanosleep(&hour, NULL); break;
    case kClockNanosleep: clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &late, NULL); break;
    case kUsleep: usleep(3600u * 1000000u); break;
    case kSleep: sleep(3600); break;
    case kSemWait: sem_wait(&g_sem); break;
    case kSemTimedwait: sem_timedwait(&g_sem, &late); break;
    case kCondWait: for (;;) pthread_cond_wait(&g_cond, &g_mutex);
    case kCondTimedwait: for (;;) pthread_cond_timedwait(&g_cond, &g_mutex, &late);
    case kJoin: pthread_join(g_other, NULL); break;
    case kWaitpid: waitpid(g_child, &status, 0); break;
    case kPause: pause(); break;
    case kSigwait: sigwait(&signals, &signal); break;
    default: break;
  }
}

static void* waiter(void* arg) {
  CHECK_RC(pthread_setspecific(g_key, (void*)7), 0);
  enum point what = (enum point)(long)arg;
  if (what == kCondWait || what == kCondTimedwait) CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  pthread_cleanup_push(cleanup, arg);
  atomic_store(&g_waiting, 1);
  wait_at(what);
  check_fail(__FILE__, __LINE__, errno, "cancelled at point %d", (int)what);
  pthread_cleanup_pop(0);
  return arg;
}

static void* ends_late(void* arg) {
  CHECK_OK(sem_wait(&g_end));
  return arg;
}

static atomic_int g_step;
static void* with_it_disabled(void* arg) {
  int old, type;
  CHECK_RC(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old), 0);
  CHECK_EQ(old, PTHREAD_CANCEL_ENABLE);
  CHECK_RC(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type), 0);
  CHECK_EQ(type, PTHREAD_CANCEL_DEFERRED);
  CHECK_RC(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type), 0);
  CHECK_EQ(type, PTHREAD_CANCEL_ASYNCHRONOUS);
  atomic_store(&g_step, 1);
  CHECK_OK(sem_wait(&g_sem));
  char byte;
  CHECK_EQ(read(g_pipe[0], &byte, 1), 1);
  atomic_store(&g_step, 2);
  CHECK_RC(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL), 0);
  pthread_testcancel();
  return arg;
}

static void* locks(void* arg) {
  atomic_store(&g_step, 1);
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  atomic_store(&g_step, 2);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  return arg;
}

static void cancel_and_join(pthread_t thread) {
  CHECK_RC(pthread_cancel(thread), 0);
  CHECK(join_thread(thread) == PTHREAD_CANCELED);
}

int main(void) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR2);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &signals, NULL), 0);
  CHECK_OK(pipe(g_pipe));
  CHECK_OK(pipe(g_full));
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, g_pair));
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, g_full_pair));
  CHECK_OK(g_listener = socket(AF_INET, SOCK_STREAM, 0));
  CHECK_OK(listen(g_listener, 5));
  CHECK_OK(g_epoll = epoll_create1(0));
  CHECK_OK(sem_init(&g_sem, 0, 0));
  CHECK_OK(sem_init(&g_end, 0, 0));
  CHECK_RC(pthread_key_create(&g_key, destroy), 0);
  CHECK_OK(g_child = fork());
  if (g_child == 0) {
    alarm(100);  // in case our parent fails
    pause();
    _exit(0);
  }
  g_other = start_thread(ends_late, NULL);
  int count = 0;
  for (int early = 0; early < 2; ++early)
    for (long what = 0; what < kPoints; ++what, ++count) {
      atomic_store(&g_waiting, 0);
      pthread_t thread = start_thread(waiter, (void*)what);
      while (!early && !atomic_load(&g_waiting)) usleep(100);
      if (!early) usleep(500);
      if (early) while (!atomic_load(&g_waiting)) sched_yield();
      cancel_and_join(thread);
      CHECK_EQ(atomic_load(&g_cleaned), count + 1);
      CHECK_EQ(atomic_load(&g_destroyed), count + 1);
    }
  CHECK_RC(pthread_mutex_trylock(&g_mutex), 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);

  pthread_t thread = start_thread(with_it_disabled, NULL);
  while (atomic_load(&g_step) != 1) usleep(100);
  CHECK_RC(pthread_cancel(thread), 0);
  usleep(1000);
  CHECK_EQ(atomic_load(&g_step), 1);
  CHECK_OK(sem_post(&g_sem));
  CHECK_EQ(write(g_pipe[1], "x", 1), 1);
  CHECK(join_thread(thread) == PTHREAD_CANCELED);
  CHECK_EQ(atomic_load(&g_step), 2);

  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  thread = start_thread(locks, NULL);
  atomic_store(&g_step, 0);
  CHECK_RC(pthread_cancel(thread), 0);
  usleep(1000);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  CHECK(join_thread(thread) == NULL);  // it has passed no cancellation point

  CHECK_OK(sem_post(&g_end));
  join_thread(g_other);
  CHECK_OK(kill(g_child, SIGKILL));
  wait_status(g_child);
  return 0;
}
