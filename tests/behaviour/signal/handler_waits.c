// A handler of main's that interrupts a wait which is async-signal-safe may do anything (signal-safety(7)): it wakes threads and waits for what they do,
// by semaphores, mutexes, conds, pipes and joins, whether they wait, compute or lock just then, and ends the process, as uWSGI's and Python's atexit do.
#include "../check.h"

#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { kEchoes = 3, kLockers = 3, kHogs = 2, kRounds = 30 };

static int g_pairs[kEchoes][2], g_never[2], g_epoll;
static sem_t g_question[kEchoes], g_answer, g_end;
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;
static atomic_int g_stop, g_stop_hog, g_hogging, g_rounds;
static int g_counted, g_asked;

static void* echo(void* arg) {  // over its socket
  int fd = g_pairs[(long)arg][1];
  char byte;
  while (recv(fd, &byte, 1, 0) == 1) {
    ++byte;
    CHECK_EQ(send(fd, &byte, 1, 0), 1);
  }
  return arg;
}
static void* answer(void* arg) {  // by a semaphore
  for (;;) {
    CHECK_OK(sem_wait(&g_question[(long)arg]));
    if (atomic_load(&g_stop)) return arg;
    CHECK_OK(sem_post(&g_answer));
  }
}
static void* lock_often(void* arg) {
  for (int i = 0; !atomic_load(&g_stop); ++i) {
    CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
    ++g_counted;
    if (g_asked) {
      g_asked = 0;
      CHECK_RC(pthread_cond_broadcast(&g_cond), 0);
    }
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
    if (i % 16 == 0) usleep(50);
  }
  return arg;
}
static void* hog(void* arg) {
  atomic_fetch_add(&g_hogging, 1);
  while (!atomic_load(&g_stop_hog)) {}
  return arg;
}
static void* short_life(void* arg) { return arg; }

static pthread_t g_hogs[kHogs];
static void on_signal(int signal) {
  (void)signal;
  int saved = errno;
  for (int i = 0; i < kEchoes; ++i) CHECK_OK(sem_post(&g_question[i]));
  for (int i = 0; i < kEchoes; ++i) CHECK_OK(sem_wait(&g_answer));
  for (int i = 0; i < kEchoes; ++i) {
    char byte = (char)i;
    CHECK_EQ(send(g_pairs[i][0], &byte, 1, 0), 1);
    CHECK_EQ(recv(g_pairs[i][0], &byte, 1, 0), 1);
    CHECK_EQ(byte, i + 1);
  }
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  g_asked = 1;
  while (g_asked) CHECK_RC(pthread_cond_wait(&g_cond, &g_mutex), 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  join_thread(start_thread(short_life, NULL));
  atomic_store(&g_stop_hog, 1);
  for (int i = 0; i < kHogs; ++i) join_thread(g_hogs[i]);
  atomic_fetch_add(&g_rounds, 1);
  errno = saved;
}

static void start_hogs(void) {
  atomic_store(&g_stop_hog, 0);
  atomic_store(&g_hogging, 0);
  for (int i = 0; i < kHogs; ++i) g_hogs[i] = start_thread(hog, NULL);
  while (atomic_load(&g_hogging) < kHogs) usleep(100);
}

static atomic_int g_go;
static void* sender(void* arg) {
  for (int i = 0; i < kRounds; ++i) {
    while (atomic_load(&g_go) <= i) usleep(200);
    usleep((unsigned)(i % 5) * 300);
    CHECK_OK(kill(getpid(), SIGUSR1));
    while (atomic_load(&g_rounds) <= i) usleep(200);
    while (atomic_load(&g_go) <= i + 1 && !atomic_load(&g_stop)) {  // the first may have come before main's wait
      CHECK_OK(kill(getpid(), SIGUSR2));
      usleep(1000);
    }
  }
  return arg;
}
static void on_nudge(int signal) { (void)signal; }

/// Main waits as uWSGI's (epoll), Python's (sem_wait), and others do, or computes.
static void wait_for_round(int round) {
  struct epoll_event event;
  struct pollfd p = {g_never[0], POLLIN, 0};
  struct timespec hour = {3600, 0};
  char byte;
  while (atomic_load(&g_rounds) == round) switch (round % 6) {
      case 0: CHECK_ERR(epoll_wait(g_epoll, &event, 1, -1), EINTR); break;
      case 1: CHECK_ERR(sem_wait(&g_end), EINTR); break;
      case 2: CHECK_ERR(poll(&p, 1, -1), EINTR); break;
      case 3: CHECK_ERR(nanosleep(&hour, NULL), EINTR); break;
      case 4: CHECK_ERR(read(g_never[0], &byte, 1), EINTR); break;
      default: break;
    }
}

static void* posts_at_the_end(void* arg) {
  CHECK_OK(sem_wait(&g_end));
  CHECK_OK(sem_post(&g_answer));
  return arg;
}
static void at_exit(void) {
  CHECK_OK(sem_post(&g_end));
  CHECK_OK(sem_wait(&g_answer));
  _exit(23);
}
static void on_end(int signal) {
  (void)signal;
  exit(1);
}

/// The handler ends the process, and who runs at its exit waits for another thread.
static void ends_in_handler(void) {
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    CHECK_EQ(atexit(at_exit), 0);
    struct sigaction action = {.sa_handler = on_end};
    CHECK_OK(sigaction(SIGTERM, &action, NULL));
    start_thread(posts_at_the_end, NULL);
    usleep(2000);
    CHECK_OK(kill(getpid(), SIGTERM));
    for (;;) pause();
  }
  int status;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 23);
}

int main(void) {
  CHECK_OK(pipe(g_never));
  CHECK_OK(g_epoll = epoll_create1(0));
  CHECK_OK(sem_init(&g_answer, 0, 0));
  CHECK_OK(sem_init(&g_end, 0, 0));
  for (int i = 0; i < 3; ++i) ends_in_handler();
  struct sigaction action = {.sa_handler = on_nudge};
  CHECK_OK(sigaction(SIGUSR2, &action, NULL));
  action.sa_handler = on_signal;
  CHECK_OK(sigaddset(&action.sa_mask, SIGUSR2));
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGUSR2);
  pthread_t threads[kLockers + 2 * kEchoes + 1];
  int n = 0;
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);  // the others'
  for (int i = 0; i < kEchoes; ++i) {
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, g_pairs[i]));
    CHECK_OK(sem_init(&g_question[i], 0, 0));
    threads[n++] = start_thread(echo, (void*)(long)i);
    threads[n++] = start_thread(answer, (void*)(long)i);
  }
  for (int i = 0; i < kLockers; ++i) threads[n++] = start_thread(lock_often, NULL);
  threads[n++] = start_thread(sender, NULL);
  for (int i = 0; i < kRounds; ++i) {
    start_hogs();
    CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
    atomic_store(&g_go, i + 1);
    wait_for_round(i);
    CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
  }
  atomic_store(&g_stop, 1);
  for (int i = 0; i < kEchoes; ++i) {
    CHECK_OK(sem_post(&g_question[i]));
    CHECK_OK(shutdown(g_pairs[i][0], SHUT_RDWR));
  }
  for (int i = 0; i < n; ++i) join_thread(threads[i]);
  return 0;
}
