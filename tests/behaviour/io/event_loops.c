// Threads that do nothing but epoll_wait, thousands of times: events and data, time-outs, handlers, cancellation, fork, locks that others hold, and
// their ends, while each of them is in the middle of that. epoll_wait(2), signal(7), pthread_cancel(3).
#include "io.h"

#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum { kLoops = 4, kMany = 600, kFew = 200, kVictims = 60, kChildren = 4 };

static __thread long mine;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long shared;
static atomic_int handled;

typedef struct {
  int epoll, pair[2];
  pthread_t peer;
} Loop;

static void* echoes(void* arg) {  // what comes goes back, until the end
  int fd = *(int*)arg;
  char c;
  while (read(fd, &c, 1) == 1) CHECK_EQ(write(fd, &c, 1), 1);
  return NULL;
}

static void open_loop(Loop* l) {
  CHECK((l->epoll = epoll_create1(0)) >= 0);
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, l->pair));
  struct epoll_event e = {.events = EPOLLIN, .data.u64 = 42};
  CHECK_OK(epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->pair[0], &e));
  l->peer = start_thread(echoes, &l->pair[1]);
}

static void close_loop(Loop* l) {
  CHECK_OK(shutdown(l->pair[0], SHUT_WR));
  join_thread(l->peer);
  CHECK_OK(close(l->epoll));
  CHECK_OK(close(l->pair[0]));
  CHECK_OK(close(l->pair[1]));
}

static void go_round(Loop* l, int times) {
  int* my_errno = &errno;
  for (int i = 0; i < times; ++i) {
    char c = (char)i, back = 0;
    struct epoll_event e;
    mine = i;
    *my_errno = i;
    CHECK_EQ(write(l->pair[0], &c, 1), 1);
    CHECK_EQ(epoll_wait(l->epoll, &e, 1, i % 3 ? -1 : 60000), 1);
    CHECK_EQ(e.data.u64, 42);
    CHECK_EQ(recv(l->pair[0], &back, 1, MSG_DONTWAIT), 1);
    CHECK_EQ(back, c);
    CHECK_EQ(mine, i);
    CHECK_EQ(*my_errno, i);
  }
}

static void on_signal(int signal) {
  int e = errno;
  if (signal == SIGUSR2) usleep(100);
  atomic_fetch_add(&handled, 1);
  errno = e;
}

static void* whole_life(void* arg) {
  Loop l;
  open_loop(&l);
  go_round(&l, kMany);

  struct epoll_event e;
  for (int i = 0; i < 5; ++i) {
    long long start = now_ms();
    CHECK_EQ(epoll_wait(l.epoll, &e, 1, 7), 0);
    CHECK(now_ms() - start >= 6);
    CHECK_EQ(epoll_wait(l.epoll, &e, 1, 0), 0);
  }
  CHECK_ERR(epoll_wait(l.epoll, &e, 0, -1), EINVAL);
  CHECK_ERR(epoll_wait(-1, &e, 1, -1), EBADF);

  for (int i = 0; i < kFew; ++i) {  // other waits in between
    go_round(&l, 1);
    CHECK_RC(pthread_mutex_lock(&mutex), 0);
    long before = shared;
    if (i % 8 == 0) sched_yield();
    shared = before + 1;
    CHECK_RC(pthread_mutex_unlock(&mutex), 0);
    if (i % 32 == 0) usleep(100);
  }

  go_round(&l, kFew);
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    CHECK_EQ(epoll_wait(l.epoll, &e, 1, 5), 0);
    _exit(7);
  }
  CHECK_CHILD_EXITS(child, 7);
  go_round(&l, kFew);

  // What changes its OS thread, and what binds it to that, in the middle of the loop.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  for (int i = 0; i < kChildren; ++i) {
    go_round(&l, kFew);
    CHECK_RC(pthread_sigmask(i % 2 ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL), 0);
    char* argv[] = {"grep", "-qx", i % 2 ? "SigBlk:\t0000000000000000" : "SigBlk:\t0000000000000200", "/proc/self/status", NULL};
    CHECK_RC(posix_spawnp(&child, argv[0], NULL, NULL, argv, environ), 0);
    CHECK_CHILD_EXITS(child, 0);
    go_round(&l, kFew);
    errno = 0;
    if (i % 2) CHECK_RC(raise(SIGUSR2), 0);  // its handler waits
    cpu_set_t cpus;
    CHECK_OK(sched_getaffinity(0, sizeof cpus, &cpus));
    CHECK_OK(sched_setaffinity(0, sizeof cpus, &cpus));
  }
  close_loop(&l);
  return arg;
}

// Waits for good; `ready` tells that it soon will.
typedef struct {
  Loop loop;
  int ready;
  bool ends_by_signal;
} Victim;

static void* waits_for_good(void* arg) {
  Victim* v = arg;
  go_round(&v->loop, 150);
  uint64_t one = 1;
  CHECK_EQ(write(v->ready, &one, 8), 8);
  struct epoll_event e;
  if (!v->ends_by_signal) {
    epoll_wait(v->loop.epoll, &e, 1, -1);
    CHECK(!"cancelled");
  }
  CHECK_ERR(epoll_wait(v->loop.epoll, &e, 1, -1), EINTR);  // whatever SA_RESTART says
  return v;
}

static void end_one(int i) {
  Victim v = {.ready = eventfd(0, 0), .ends_by_signal = i % 2};
  open_loop(&v.loop);
  atomic_store(&handled, 0);
  pthread_t thread = start_thread(waits_for_good, &v);
  uint64_t one;
  CHECK_EQ(read(v.ready, &one, 8), 8);
  for (volatile int k = 0; k < i * 400; ++k) {  // so that it is at different points of its call
  }
  if (!v.ends_by_signal) {
    CHECK_RC(pthread_cancel(thread), 0);
    CHECK(join_thread(thread) == PTHREAD_CANCELED);
  } else {
    void* result;
    // A signal that comes just before the call doesn't end it: again, until one has.
    do {
      CHECK_RC(pthread_kill(thread, i % 4 == 1 ? SIGUSR1 : SIGUSR2), 0);
      struct timespec soon = deadline_after_ms(CLOCK_REALTIME, 20);
      int r = pthread_timedjoin_np(thread, &result, &soon);
      if (r == 0) break;
      CHECK_EQ(r, ETIMEDOUT);
    } while (true);
    CHECK(result == &v);
    CHECK(atomic_load(&handled) > 0);
  }
  close_loop(&v.loop);
  CHECK_OK(close(v.ready));
}

int main(void) {
  struct sigaction a = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGUSR1, &a, NULL));
  a.sa_flags = SA_RESTART;
  CHECK_OK(sigaction(SIGUSR2, &a, NULL));
  pthread_t threads[kLoops];
  for (int i = 0; i < kLoops; ++i) threads[i] = start_thread(whole_life, NULL);
  for (int i = 0; i < kLoops; ++i) join_thread(threads[i]);
  CHECK_EQ(shared, kLoops * kFew);
  for (int i = 0; i < kVictims; ++i) end_one(i);
  return 0;
}
