// A handler runs in the thread that it interrupts, so this doesn't go on meanwhile, and they share errno one after the other: here main,
// in calls that only the kernel knows how to wait in, while others run. Those that signal(7) never restarts end with EINTR.
#include "../check.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/sem.h>

enum { kRound = 200, kQueued = 40, kFlood = 2000 };

static pthread_t g_main;
static int g_sem = -1, g_lock[2];
static atomic_int g_calling, g_ended, g_handled, g_stop;
static __thread int t_mark;
static __thread volatile sig_atomic_t t_depth, t_next, t_wrong;
static sigjmp_buf g_jump;

static void remove_sem(void) {
  if (g_sem != -1) semctl(g_sem, 0, IPC_RMID);
}

static void is_in_main(void) {
  CHECK_EQ(t_mark, 77);
  CHECK(pthread_equal(pthread_self(), g_main));
}

static long long now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

// Main's call, which gives up after a millisecond, can't write errno meanwhile.
static void on_slow(int signal) {
  (void)signal;
  int saved = errno;
  is_in_main();
  errno = 4711;
  long long end = now_ns() + 3000000;
  while (now_ns() < end) {
    if (errno != 4711) check_fail(__FILE__, __LINE__, errno, "errno is the handler's");
  }
  errno = saved;
  atomic_fetch_add(&g_handled, 1);
}

static void on_plain(int signal) {
  (void)signal;
  is_in_main();
  atomic_fetch_add(&g_handled, 1);
}

// Real-time signals come in order, none over another: the action's mask has them all.
static void on_queued(int signal, siginfo_t* info, void* context) {
  (void)context;
  is_in_main();
  if (t_depth++ || info->si_value.sival_int != t_next || signal != SIGRTMIN) t_wrong = 1;
  ++t_next;
  sigset_t pending;
  CHECK_OK(sigpending(&pending));
  --t_depth;
  atomic_fetch_add(&g_handled, 1);
}

static void on_jump(int signal) {
  (void)signal;
  is_in_main();
  atomic_fetch_add(&g_handled, 1);
  siglongjmp(g_jump, 1);
}

// Its own signal once more: after it, since it's blocked; and one that isn't: within it.
static void on_raising(int signal) {
  is_in_main();
  int before = atomic_load(&g_handled);
  if (t_depth++ == 0) {
    if (before < 2) {
      CHECK_EQ(raise(signal), 0);
      CHECK_RC(pthread_kill(pthread_self(), signal), 0);
      CHECK_EQ(atomic_load(&g_handled), before);
    }
    sigset_t set, old;
    sigemptyset(&set);
    CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, &old), 0);
    CHECK_EQ(sigismember(&old, signal), 1);
    CHECK_EQ(sigismember(&old, SIGUSR2), 0);
  }
  --t_depth;
  atomic_fetch_add(&g_handled, 1);
}

static void handle(int signal, void (*handler)(int), int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  CHECK_OK(sigaction(signal, &action, NULL));
}

static int wait_for_sem(long ms) {
  struct sembuf down = {0, -1, 0};
  struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  return ms ? semtimedop(g_sem, &down, 1, &t) : semop(g_sem, &down, 1);
}

// Signals main once for each call of its, as soon as it has begun; then, until the call has ended, again whenever the handler has run.
static void* signaller(void* arg) {
  int signal = (int)(long)arg;
  for (int call = 1; !atomic_load(&g_stop); ++call) {
    while (atomic_load(&g_calling) < call && !atomic_load(&g_stop)) sched_yield();
    while (atomic_load(&g_ended) < call && !atomic_load(&g_stop)) {
      int before = atomic_load(&g_handled);
      CHECK_RC(pthread_kill(g_main, signal), 0);
      while (atomic_load(&g_handled) == before && atomic_load(&g_ended) < call && !atomic_load(&g_stop)) sched_yield();
      usleep(200);
    }
  }
  return NULL;
}

// Who takes no signal of the process's: natively they go to any thread that doesn't block them as long as main has one pending.
static pthread_t start_deaf(void* (*run)(void*), void* arg) {
  sigset_t all, old;
  sigfillset(&all);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &all, &old), 0);
  pthread_t thread = start_thread(run, arg);
  CHECK_RC(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
  return thread;
}

static pthread_t begin(int signal) {
  atomic_store(&g_calling, 0);
  atomic_store(&g_ended, 0);
  atomic_store(&g_handled, 0);
  atomic_store(&g_stop, 0);
  return start_deaf(signaller, (void*)(long)signal);
}
static void end(pthread_t thread) {
  atomic_store(&g_stop, 1);
  join_thread(thread);
}

static void slow_handlers(void) {
  handle(SIGUSR1, on_slow, SA_RESTART);
  pthread_t t = begin(SIGUSR1);
  for (int i = 0; i < 30; ++i) {
    atomic_store(&g_calling, i + 1);
    errno = 0;
    int r = wait_for_sem(1), e = errno;
    if (r != -1 || (e != EAGAIN && e != EINTR)) check_fail(__FILE__, __LINE__, e, "semtimedop has errno: %d", r);
    atomic_store(&g_ended, i + 1);
  }
  end(t);
}

// Restarting or not, the handler ends semop; one without SA_RESTART ends flock, and with it flock goes on.
static void ended_calls(int flags) {
  handle(SIGUSR1, on_plain, flags);
  pthread_t t = begin(SIGUSR1);
  for (int i = 0; i < kRound; ++i) {
    atomic_store(&g_calling, i + 1);
    if (i % 2 == 0 || (flags & SA_RESTART)) CHECK_ERR(wait_for_sem(0), EINTR);
    else CHECK_ERR(flock(g_lock[1], LOCK_EX), EINTR);
    atomic_store(&g_ended, i + 1);
  }
  end(t);
}

static void* queuer(void* arg) {
  for (int i = 0; i < kQueued; ++i) {
    CHECK_RC(pthread_sigqueue(g_main, SIGRTMIN, (union sigval){.sival_int = i}), 0);
    if (i % 8 == 7) usleep(100);
  }
  while (atomic_load(&g_handled) < kQueued) usleep(100);
  CHECK_OK(flock(g_lock[0], LOCK_UN));
  return arg;
}

static void queued(void) {
  struct sigaction action = {.sa_sigaction = on_queued, .sa_flags = SA_SIGINFO | SA_RESTART};
  CHECK_OK(sigaction(SIGRTMIN, &action, NULL));
  for (int i = 0; i < 20; ++i) {
    CHECK_OK(flock(g_lock[0], LOCK_EX));
    t_next = 0;
    atomic_store(&g_handled, 0);
    pthread_t t = start_thread(queuer, NULL);
    CHECK_OK(flock(g_lock[1], LOCK_EX));
    CHECK_OK(flock(g_lock[1], LOCK_UN));
    join_thread(t);
    CHECK_EQ(t_next, kQueued);
    CHECK_EQ(t_wrong, 0);
  }
}

static void* flooder(void* arg) {
  for (int i = 0; i < kFlood; ++i) {
    CHECK_RC(pthread_sigqueue(g_main, SIGRTMIN, (union sigval){.sival_int = i}), 0);
    if (i % 4 == 3) usleep(50);
  }
  return arg;
}

// In order also where main comes and goes, and faster than main takes them.
static void flooded(void) {
  t_next = 0;
  atomic_store(&g_handled, 0);
  pthread_t t = start_thread(flooder, NULL);
  struct sembuf down = {0, -1, 0};
  struct timespec soon = {0, 20000};
  while (atomic_load(&g_handled) < kFlood) {
    CHECK_ERR(semtimedop(g_sem, &down, 1, &soon), errno == EINTR ? EINTR : EAGAIN);
    sched_yield();
  }
  join_thread(t);
  CHECK_EQ(t_next, kFlood);
  CHECK_EQ(t_wrong, 0);
}

// The mask is what it was; main goes on as ever, with calls that wait and signals that end them.
static void jumps(void) {
  handle(SIGUSR1, on_jump, SA_RESTART);
  pthread_t t = begin(SIGUSR1);
  for (volatile int i = 0; i < kRound; ++i) {
    sigset_t now;
    CHECK_OK(flock(g_lock[0], LOCK_EX));
    if (sigsetjmp(g_jump, 1) == 0) {
      atomic_store(&g_calling, i + 1);
      if (i % 2) flock(g_lock[1], LOCK_EX);
      else wait_for_sem(0);
      check_fail(__FILE__, __LINE__, errno, "the call is left by a jump");
    }
    CHECK_RC(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
    CHECK_EQ(sigismember(&now, SIGUSR1), 0);
    CHECK_EQ(sigismember(&now, SIGTERM), 0);
    CHECK_EQ(t_mark, 77);
    // No more until the next call: one may have been sent before this
    handle(SIGUSR1, on_plain, SA_RESTART);
    atomic_store(&g_ended, i + 1);
    CHECK_ERR(wait_for_sem(1), errno == EINTR ? EINTR : EAGAIN);
    sched_yield();
    handle(SIGUSR1, on_jump, SA_RESTART);
  }
  end(t);
}

static void raising(void) {
  handle(SIGUSR1, on_raising, 0);
  pthread_t t = begin(SIGUSR1);
  atomic_store(&g_calling, 1);
  CHECK_ERR(wait_for_sem(0), EINTR);
  CHECK(atomic_load(&g_handled) >= 2);  // standard signals are pending once
  atomic_store(&g_ended, 1);
  end(t);
}

// Each for one time: SA_RESETHAND.
static void once(void) {
  for (int i = 0; i < 20; ++i) {
    atomic_store(&g_handled, 0);
    handle(SIGUSR2, on_plain, (int)SA_RESETHAND);
    pthread_t t = begin(SIGUSR1);
    handle(SIGUSR1, on_plain, 0);
    CHECK_OK(kill(getpid(), SIGUSR2));
    struct sigaction now;
    CHECK_OK(sigaction(SIGUSR2, NULL, &now));
    CHECK(now.sa_handler == SIG_DFL);
    atomic_store(&g_calling, 1);
    CHECK_ERR(wait_for_sem(0), EINTR);
    atomic_store(&g_ended, 1);
    end(t);
  }
}

static void* killer(void* arg) {
  while (!atomic_load(&g_calling)) sched_yield();
  usleep(2000);
  CHECK_OK(kill(getpid(), SIGUSR2));
  return arg;
}

// The same while main waits.
static void once_away(void) {
  for (int i = 0; i < 10; ++i) {
    atomic_store(&g_calling, 0);
    atomic_store(&g_handled, 0);
    handle(SIGUSR2, on_plain, (int)SA_RESETHAND);
    pthread_t t = start_deaf(killer, NULL);
    atomic_store(&g_calling, 1);
    while (!atomic_load(&g_handled)) CHECK_ERR(wait_for_sem(20), errno == EINTR ? EINTR : EAGAIN);
    join_thread(t);
    struct sigaction now;
    CHECK_OK(sigaction(SIGUSR2, NULL, &now));
    CHECK(now.sa_handler == SIG_DFL);
  }
}

static void on_ending(int signal) {
  handle(signal, SIG_DFL, 0);
  CHECK_EQ(raise(signal), 0);  // blocked: acted on when the handler returns
}

// As many programs end: the handler has done its work, and raises the signal again.
static void ends_by_signal(void) {
  g_main = pthread_self();
  handle(SIGTERM, on_ending, SA_RESTART);
  pthread_t t = begin(SIGTERM);
  (void)t;
  atomic_store(&g_calling, 1);
  flock(g_lock[1], LOCK_EX);
  _exit(3);
}

int main(void) {
  g_main = pthread_self();
  t_mark = 77;
  CHECK_OK(g_sem = semget(IPC_PRIVATE, 1, 0600));
  atexit(remove_sem);
  char path[] = "/tmp/main_away.XXXXXX";
  CHECK_OK(g_lock[0] = mkstemp(path));
  CHECK_OK(g_lock[1] = open(path, O_RDWR));
  CHECK_OK(unlink(path));
  slow_handlers();
  CHECK_OK(flock(g_lock[0], LOCK_EX));
  ended_calls(0);
  ended_calls(SA_RESTART);
  queued();
  flooded();
  jumps();
  raising();
  once();
  once_away();
  CHECK_OK(flock(g_lock[0], LOCK_EX));
  int status = wait_status(fork_child(ends_by_signal));
  CHECK(WIFSIGNALED(status));
  CHECK_EQ(WTERMSIG(status), SIGTERM);
  return 0;
}
