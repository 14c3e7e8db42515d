// Who gets a signal of the process, and when: main, if it doesn't block it, whoever else would take it, also after main has blocked it for a while, and while it
// waits for it in sigwait; else a thread that doesn't block it, before kill() and sigqueue() make way for what its sender does next; a thread that unblocks one that is
// pending, before pthread_sigmask returns; a new thread before its first statement; and after main's end whoever is left.
// Fails if a handler runs on another thread, or later.
#include "../check.h"

#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/syscall.h>

enum { kRounds = 60 };
static pthread_t main_thread;
static volatile int on_main, elsewhere, value;
static sem_t go;

static void handler(int signal, siginfo_t* info, void* context) {
  (void)signal, (void)context;
  if (pthread_equal(pthread_self(), main_thread)) ++on_main;
  else ++elsewhere;
  value = info->si_value.sival_int;
}
static void set(int how) {
  sigset_t s;
  sigemptyset(&s);
  sigaddset(&s, SIGUSR1);
  sigaddset(&s, SIGUSR2);
  CHECK_RC(pthread_sigmask(how, &s, NULL), 0);
}
static void reset(void) { on_main = elsewhere = value = 0; }

// ---- main's, after it has blocked it, which another thread never does
static volatile int waits, out;
static void* kills_until_out(void* unused) {
  while (!waits) sched_yield();
  while (!out) {
    CHECK_OK(kill(getpid(), SIGUSR1));
    struct timespec t = {0, 500000};
    nanosleep(&t, NULL);  // ends with EINTR only if the handler runs here, which is looked at below
  }
  return unused;
}
static void main_comes_first(void) {
  for (int i = 0; i < kRounds; ++i) {
    pthread_t t;
    int fds[2];
    char c;
    reset();
    waits = out = 0;
    CHECK_OK(pipe(fds));
    CHECK_RC(pthread_create(&t, NULL, kills_until_out, NULL), 0);
    set(SIG_BLOCK);
    if (i % 3 == 0) {
      pid_t child = fork();
      if (!child) _exit(0);
      CHECK_OK(child);
      while (waitpid(child, NULL, 0) < 0) CHECK_EQ(errno, EINTR);
    } else if (i % 3 == 1) {
      sched_yield();
    }
    set(SIG_UNBLOCK);
    waits = 1;
    struct pollfd p = {fds[0], POLLIN, 0};
    if (i & 1) CHECK_ERR(read(fds[0], &c, 1), EINTR);
    else CHECK_ERR(poll(&p, 1, -1), EINTR);
    out = 1;
    CHECK_RC(pthread_join(t, NULL), 0);
    CHECK_EQ(elsewhere, 0);
    CHECK(on_main > 0);
    close(fds[0]);
    close(fds[1]);
  }
}

static void* kills_main_in_sigwait(void* unused) {
  set(SIG_UNBLOCK);
  while (!waits) sched_yield();
  sleep_ms(20);  // it waits by now, most likely; if not, this thread takes one of its own, and sends another
  while (!out) {
    CHECK_OK(kill(getpid(), SIGUSR2));
    sleep_ms(1);
  }
  return unused;
}
static void main_in_sigwait(void) {
  int here = 0;
  for (int i = 0; i < kRounds / 3; ++i) {
    pthread_t t;
    sigset_t s;
    int signal;
    reset();
    waits = out = 0;
    set(SIG_BLOCK);
    CHECK_RC(pthread_create(&t, NULL, kills_main_in_sigwait, NULL), 0);
    sigemptyset(&s);
    sigaddset(&s, SIGUSR2);
    waits = 1;
    CHECK_RC(sigwait(&s, &signal), 0);
    out = 1;
    CHECK_RC(pthread_join(t, NULL), 0);
    here += elsewhere <= 2;  // before the wait and after it the other's
  }
  CHECK(here > kRounds / 6);
  set(SIG_UNBLOCK);
}

// ---- the only thread that doesn't block it
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int pipe_[2];
static volatile int seen, ready;
static void* takes(void* kind) {
  char c;
  set(SIG_UNBLOCK);
  ready = 1;
  switch ((long)kind) {
    case 0: while (sem_wait(&go)) CHECK_EQ(errno, EINTR); break;
    case 1: CHECK_RC(pthread_mutex_lock(&mutex), 0); CHECK_RC(pthread_mutex_unlock(&mutex), 0); break;
    case 2: while (read(pipe_[0], &c, 1) != 1) CHECK_EQ(errno, EINTR); break;
  }
  seen = elsewhere;
  return NULL;
}
static void comes_before_what_follows(void) {
  set(SIG_BLOCK);
  CHECK_OK(pipe(pipe_));
  for (int i = 0; i < kRounds; ++i) {
    long kind = i % 3;
    pthread_t t;
    reset();
    seen = ready = 0;
    if (kind == 1) pthread_mutex_lock(&mutex);
    CHECK_RC(pthread_create(&t, NULL, takes, (void*)kind), 0);
    while (!ready) sched_yield();
    if (i & 8) sleep_ms(1);
    union sigval v = {i + 1};
    if (i % 4 == 0) CHECK_OK(sigqueue(getpid(), SIGUSR1, v));
    else if (i % 4 == 1) CHECK_OK(syscall(SYS_kill, getpid(), SIGUSR1));
    else CHECK_OK(kill(getpid(), SIGUSR1));
    if (kind == 0) sem_post(&go);
    else if (kind == 1) pthread_mutex_unlock(&mutex);
    else CHECK_EQ(write(pipe_[1], "", 1), 1);
    CHECK_RC(pthread_join(t, NULL), 0);
    CHECK_EQ(seen, 1);
    CHECK_EQ(on_main, 0);
    if (i % 4 == 0) CHECK_EQ(value, i + 1);
  }
  set(SIG_UNBLOCK);
  CHECK_EQ(on_main, 0);  // nothing was left
}

// ---- pending in the process
static void* unblocks(void* unused) {
  CHECK_EQ(elsewhere, 0);
  set(SIG_UNBLOCK);
  CHECK_EQ(elsewhere, 1);
  return unused;
}
static void* first_statement(void* unused) {
  CHECK_EQ(elsewhere, 1);
  return unused;
}
static void pending_ones(void) {
  set(SIG_BLOCK);
  for (int i = 0; i < kRounds / 2; ++i) {
    pthread_t t;
    pthread_attr_t attr;
    sigset_t none;
    sigemptyset(&none);
    reset();
    CHECK_OK(kill(getpid(), SIGUSR1));
    pthread_attr_init(&attr);
    if (i & 1) CHECK_RC(pthread_attr_setsigmask_np(&attr, &none), 0);
    CHECK_RC(pthread_create(&t, &attr, i & 1 ? first_statement : unblocks, NULL), 0);
    CHECK_RC(pthread_join(t, NULL), 0);
    CHECK_EQ(on_main, 0);
  }
  set(SIG_UNBLOCK);
}

// ---- what is pending for main alone is nobody else's
static void* sees_nothing(void* how) {
  sigset_t s;
  CHECK_OK(sigpending(&s));
  CHECK_EQ(sigismember(&s, SIGUSR1), 0);
  CHECK_EQ(sigismember(&s, SIGUSR2), how != NULL);
  return how;
}
static void pending_for_main(void) {
  set(SIG_BLOCK);
  CHECK_OK(raise(SIGUSR1));
  for (int i = 0; i < 8; ++i) {
    pthread_t t;
    if (i == 4) CHECK_OK(kill(getpid(), SIGUSR2));
    CHECK_RC(pthread_create(&t, NULL, sees_nothing, i < 4 ? NULL : (void*)1), 0);
    CHECK_RC(pthread_join(t, NULL), 0);
  }
  reset();
  set(SIG_UNBLOCK);
  CHECK_EQ(on_main, 2);
}

static void* after_main(void* unused) {
  (void)unused;
  sem_wait(&go);
  pthread_join(main_thread, NULL);  // it has ended
  reset();
  main_thread = 0;
  CHECK_OK(kill(getpid(), SIGUSR1));
  for (int i = 0; !elsewhere; ++i) sched_yield();
  _exit(0);
}

int main(void) {
  struct sigaction a = {0};
  a.sa_sigaction = handler;
  a.sa_flags = SA_SIGINFO;
  CHECK_OK(sigaction(SIGUSR1, &a, NULL));
  CHECK_OK(sigaction(SIGUSR2, &a, NULL));
  main_thread = pthread_self();
  CHECK_OK(sem_init(&go, 0, 0));
  main_comes_first();
  main_in_sigwait();
  comes_before_what_follows();
  pending_ones();
  pending_for_main();
  pthread_t t;
  CHECK_RC(pthread_create(&t, NULL, after_main, NULL), 0);
  sem_post(&go);
  pthread_exit(NULL);
}
