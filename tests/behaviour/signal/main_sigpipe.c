// A SIGPIPE that the main thread blocks stays pending for main, and for main alone, whoever runs meanwhile: one thread that doesn't block it, with
// a handler or without, and one that does. Main takes it in each way that there is.
#include "../check.h"

#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum from { kWrite, kWritev, kSend, kSpliced, kStdio, kRaise, kKill, kFroms };
enum take { kTimedwait, kSigwait, kSignalfd, kUnblock, kSuspend, kPpoll, kTakes };

static __thread volatile sig_atomic_t t_ran;
static sem_t g_turn[2], g_back;
static atomic_int g_handled, g_end;
static sigset_t g_pipe_set;

static void on_pipe(int signal) {
  CHECK_EQ(signal, SIGPIPE);
  ++t_ran;
}

static void broken(int* fds, int is_socket) {
  if (is_socket) CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
  else CHECK_OK(pipe(fds));
}

static void raise_somehow(enum from what) {
  int fds[2], from[2];
  char byte;
  struct iovec one = {"x", 1};
  broken(fds, what == kSend);
  if (what == kSpliced) {  // such a pipe can't be asked without waiting any more
    CHECK_OK(pipe(from));
    CHECK_EQ(write(from[1], "x", 1), 1);
    CHECK_EQ(splice(from[0], NULL, fds[1], NULL, 1, 0), 1);
    CHECK_EQ(read(fds[0], &byte, 1), 1);
    CHECK_OK(close(from[0]));
    CHECK_OK(close(from[1]));
  }
  CHECK_OK(close(fds[0]));
  switch (what) {
    case kWrite: case kSpliced: CHECK_ERR(write(fds[1], "x", 1), EPIPE); break;
    case kWritev: CHECK_ERR(writev(fds[1], &one, 1), EPIPE); break;
    case kSend: CHECK_ERR(send(fds[1], "x", 1, 0), EPIPE); break;
    case kStdio: {
      FILE* f = fdopen(dup(fds[1]), "w");
      CHECK(f);
      CHECK(fputs("x", f) >= 0);
      CHECK_ERR(fflush(f), EPIPE);
      setvbuf(f, NULL, _IONBF, 0);
      fclose(f);
      break;
    }
    case kRaise: CHECK_EQ(raise(SIGPIPE), 0); break;
    default: CHECK_RC(pthread_kill(pthread_self(), SIGPIPE), 0); break;
  }
  CHECK_OK(close(fds[1]));
}

static int is_pending(void) {
  sigset_t pending;
  CHECK_OK(sigpending(&pending));
  return sigismember(&pending, SIGPIPE);
}

// Both others have run, on this OS thread or elsewhere.
static void let_others_run(void) {
  for (int i = 0; i < 2; ++i) {
    CHECK_OK(sem_post(&g_turn[i]));
    CHECK_OK(sem_wait(&g_back));
  }
}

static void* other(void* arg) {
  int blocks = arg != NULL;
  struct timespec zero = {0, 0};
  CHECK_RC(pthread_sigmask(blocks ? SIG_BLOCK : SIG_UNBLOCK, &g_pipe_set, NULL), 0);
  for (int expected = 0;;) {
    CHECK_OK(sem_wait(&g_turn[blocks]));
    if (atomic_load(&g_end)) return NULL;
    CHECK_EQ(is_pending(), 0);
    CHECK_EQ(t_ran, expected);
    if (blocks) {
      CHECK_ERR(sigtimedwait(&g_pipe_set, NULL, &zero), EAGAIN);
      raise_somehow(kWrite);
      CHECK_EQ(is_pending(), 1);
      CHECK_EQ(sigtimedwait(&g_pipe_set, NULL, &zero), SIGPIPE);
    } else if (atomic_load(&g_handled)) {
      raise_somehow(kWrite);
      CHECK_EQ(t_ran, ++expected);
    }
    CHECK_OK(sem_post(&g_back));
  }
}

static void take_it(enum take what) {
  struct timespec zero = {0, 0};
  struct signalfd_siginfo info;
  sigset_t none;
  siginfo_t got;
  int signal, fd, before = t_ran;
  sigemptyset(&none);
  switch (what) {
    case kTimedwait:
      CHECK_EQ(sigtimedwait(&g_pipe_set, &got, &zero), SIGPIPE);
      CHECK_EQ(got.si_pid, getpid());
      break;
    case kSigwait:
      CHECK_RC(sigwait(&g_pipe_set, &signal), 0);
      CHECK_EQ(signal, SIGPIPE);
      break;
    case kSignalfd:
      CHECK_OK(fd = signalfd(-1, &g_pipe_set, 0));
      CHECK_EQ(read(fd, &info, sizeof info), (int)sizeof info);
      CHECK_EQ(info.ssi_signo, SIGPIPE);
      CHECK_OK(close(fd));
      break;
    case kUnblock:
      CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &g_pipe_set, NULL), 0);
      CHECK_EQ(t_ran, before + 1);
      CHECK_RC(pthread_sigmask(SIG_BLOCK, &g_pipe_set, NULL), 0);
      break;
    case kSuspend: CHECK_ERR(sigsuspend(&none), EINTR); break;
    default: CHECK_ERR(ppoll(NULL, 0, NULL, &none), EINTR); break;
  }
  CHECK_EQ(t_ran, before + (what >= kUnblock));
  CHECK_EQ(is_pending(), 0);
  CHECK_ERR(sigtimedwait(&g_pipe_set, NULL, &zero), EAGAIN);
}

static void rounds(int takes) {
  for (int from = 0; from < kFroms; ++from) {
    for (int take = 0; take < takes; ++take) {
      for (int turns = 0; turns < 3; ++turns) {
        CHECK_EQ(is_pending(), 0);
        raise_somehow((enum from)from);
        for (int i = 0; i < turns; ++i) {
          if (i) CHECK_EQ(is_pending(), 1);
          let_others_run();
        }
        CHECK_EQ(is_pending(), 1);
        take_it((enum take)take);
        if (turns) let_others_run();
      }
    }
  }
}

int main(void) {
  sigemptyset(&g_pipe_set);
  sigaddset(&g_pipe_set, SIGPIPE);
  CHECK_OK(sem_init(&g_turn[0], 0, 0));
  CHECK_OK(sem_init(&g_turn[1], 0, 0));
  CHECK_OK(sem_init(&g_back, 0, 0));
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &g_pipe_set, NULL), 0);
  raise_somehow(kWrite);  // before there is any other thread
  pthread_t open_one = start_thread(other, NULL), blocking_one = start_thread(other, &g_end);
  let_others_run();
  CHECK_EQ(is_pending(), 1);
  take_it(kTimedwait);
  rounds(kUnblock);  // the default would end the process
  struct sigaction action = {.sa_handler = on_pipe};
  CHECK_OK(sigaction(SIGPIPE, &action, NULL));
  atomic_store(&g_handled, 1);
  rounds(kTakes);
  raise_somehow(kWrite);  // once, as often as it is raised
  let_others_run();
  raise_somehow(kSpliced);
  let_others_run();
  take_it(kTimedwait);
  raise_somehow(kSend);  // still there when the others have ended
  atomic_store(&g_end, 1);
  CHECK_OK(sem_post(&g_turn[0]));
  CHECK_OK(sem_post(&g_turn[1]));
  join_thread(open_one);
  join_thread(blocking_one);
  CHECK_EQ(is_pending(), 1);
  take_it(kUnblock);
  return 0;
}
