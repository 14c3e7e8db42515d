// Threads are sent real-time signals, each of which is handled once, whatever they do: first in calls that only the kernel knows how to wait in, then in
// waits of all kinds, calls that nobody announced, masks, sigtimedwait, fork, while others are cancelled and the process gets signals, too.
// Usage: storm [signals for each] [seed]
#include "../check.h"

#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/syscall.h>

enum { kWorkers = 5, kAhead = 20 };

typedef struct {
  pthread_t thread;
  atomic_int sent, handled, over;
} Target;

static Target g_targets[kWorkers + 1];  // the last one is main
static __thread Target* t_me;
static __thread unsigned t_random;
static int g_each = 300, g_sem = -1, g_pipe[2];
static unsigned g_seed = 1;
static sem_t g_tokens;
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;
static atomic_int g_stop, g_process;
static int g_calls_only;
static pid_t g_pid;

static void remove_sem(void) {
  if (g_sem != -1 && getpid() == g_pid) semctl(g_sem, 0, IPC_RMID);
}

static unsigned dice(unsigned sides) {
  t_random = t_random * 1664525u + 1013904223u;
  return (t_random >> 8) % sides;
}

static void on_queued(int signal, siginfo_t* info, void* context) {
  (void)context;
  int saved = errno, value = info->si_value.sival_int;
  CHECK_EQ(signal, SIGRTMIN);
  Target* me = t_me;
  CHECK(me && pthread_equal(pthread_self(), me->thread));
  CHECK_EQ(value, atomic_load(&me->handled));  // in order, each once
  atomic_fetch_add(&me->handled, 1);
  if (value % 7 == 3) sched_yield();
  if (value % 13 == 5) usleep(50);
  if (value % 5 == 2) sem_post(&g_tokens);
  CHECK(t_me == me);
  errno = saved;
}
static void on_process(int signal) {
  (void)signal;
  int saved = errno;
  atomic_fetch_add(&g_process, 1);
  sem_post(&g_tokens);
  errno = saved;
}

// A syscall instruction of the program's own.
static long raw_sleep(long ns) {
  struct timespec t = {0, ns};
  long r = SYS_nanosleep;
  __asm__ volatile("syscall" : "+a"(r) : "D"(&t), "S"(0l) : "rcx", "r11", "memory");
  return r;
}

static void mask(int how) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  CHECK_RC(pthread_sigmask(how, &set, NULL), 0);
}

static void* brief(void* arg) {
  if (arg) pause();
  return arg;
}

// One of its many ways to wait, none of them for long.
static void something(void) {
  struct timespec soon = {0, 300000}, at = deadline_after_ms(CLOCK_REALTIME, 1);
  struct pollfd p = {g_pipe[0], POLLIN, 0};
  struct sembuf down = {0, -1, 0};
  sigset_t none, set;
  sigemptyset(&none);
  char byte;
  switch (g_calls_only ? 7 : dice(18)) {
    case 0: sched_yield(); break;
    case 1: usleep(100); break;
    case 2: sem_timedwait(&g_tokens, &at); break;
    case 3:
      CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
      pthread_cleanup_push((void (*)(void*))(void*)pthread_mutex_unlock, &g_mutex);
      pthread_cond_timedwait(&g_cond, &g_mutex, &at);
      pthread_cleanup_pop(1);
      break;
    case 4: pthread_cond_broadcast(&g_cond); break;
    case 5: {  // not to be cancelled between the two
      int state;
      CHECK_RC(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state), 0);
      if (poll(&p, 1, 1) == 1) CHECK_EQ(read(g_pipe[0], &byte, 1), 1);
      CHECK_EQ(write(g_pipe[1], "x", 1), 1);
      CHECK_RC(pthread_setcancelstate(state, NULL), 0);
      break;
    }
    case 6: ppoll(NULL, 0, &soon, &none); break;
    case 7: semtimedop(g_sem, &down, 1, &soon); break;
    case 8: raw_sleep(200000); break;
    case 9:
      for (volatile int i = 0; i < 30000; ++i) {
      }
      break;
    case 10:
      mask(SIG_BLOCK);
      usleep(50);
      mask(SIG_UNBLOCK);
      break;
    case 11:
      mask(SIG_BLOCK);
      sched_yield();
      if (t_me) {
        siginfo_t info;
        sigemptyset(&set);
        sigaddset(&set, SIGRTMIN);
        int r = sigtimedwait(&set, &info, &soon);
        if (r == SIGRTMIN) {
          CHECK_EQ(info.si_value.sival_int, atomic_load(&t_me->handled));
          atomic_fetch_add(&t_me->handled, 1);
        }
      }
      mask(SIG_UNBLOCK);
      break;
    case 12: {
      int state;
      CHECK_RC(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state), 0);
      pid_t pid = dice(4) ? 0 : fork();
      if (pid == 0 && getpid() != g_pid) _exit(7);
      if (pid) CHECK_EQ(WEXITSTATUS(wait_status(pid)), 7);
      CHECK_RC(pthread_setcancelstate(state, NULL), 0);
      break;
    }
    case 13: {
      int state;
      CHECK_RC(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state), 0);
      int cancelled = (int)dice(2);
      pthread_t t = start_thread(brief, cancelled ? &g_stop : NULL);
      if (dice(2)) sched_yield();
      if (cancelled) CHECK_RC(pthread_cancel(t), 0);
      CHECK(join_thread(t) == (cancelled ? PTHREAD_CANCELED : (void*)NULL));
      CHECK_RC(pthread_setcancelstate(state, NULL), 0);
      break;
    }
    case 14: (void)!readlink("/proc/self/exe", &byte, 1); break;
    case 15: nanosleep(&soon, NULL); break;
    case 16: CHECK_OK(kill(getpid(), SIGUSR1)); break;
    default: pthread_testcancel(); break;
  }
}

// Until all that it is sent has come.
static void work(Target* me) {
  t_me = me;
  t_random = g_seed * 77 + (unsigned)(me - g_targets);
  mask(SIG_UNBLOCK);
  while (!atomic_load(&me->over)) something();
  while (atomic_load(&me->handled) < atomic_load(&me->sent)) {
    if (me - g_targets == 0) continue;  // computes
    something();
  }
  CHECK_EQ(atomic_load(&me->handled), atomic_load(&me->sent));
}

static void* worker(void* arg) {
  Target* me = arg;
  me->thread = pthread_self();
  work(me);
  return arg;
}

static void* sender(void* arg) {
  t_random = g_seed * 31;
  for (int left = g_each * (kWorkers + 1); left && !atomic_load(&g_stop);) {
    Target* to = &g_targets[dice(kWorkers + 1)];
    int n = atomic_load(&to->sent);
    if (n >= g_each || n - atomic_load(&to->handled) >= kAhead) {
      if (dice(8) == 0) usleep(100);
      continue;
    }
    atomic_fetch_add(&to->sent, 1);
    CHECK_RC(pthread_sigqueue(to->thread, SIGRTMIN, (union sigval){.sival_int = n}), 0);
    --left;
    if (dice(6) == 0) usleep(100);
  }
  for (int i = 0; i <= kWorkers; ++i) atomic_store(&g_targets[i].over, 1);
  return arg;
}

static void* victim(void* arg) {
  t_random = (unsigned)(long)arg;
  while (t_random != 0 || arg) something();
  return arg;
}
static void* canceller(void* arg) {
  for (unsigned i = 1; !atomic_load(&g_stop); ++i) {
    pthread_t t = start_thread(victim, (void*)(long)(i * 123457 + g_seed));
    usleep(i * 37 % 1500);
    CHECK_RC(pthread_kill(t, SIGUSR1), 0);
    CHECK_RC(pthread_cancel(t), 0);
    CHECK_RC(pthread_kill(t, SIGUSR1), 0);
    CHECK(join_thread(t) == PTHREAD_CANCELED);
  }
  return arg;
}

static void round_of(int calls_only) {
  g_calls_only = calls_only;
  atomic_store(&g_stop, 0);
  mask(SIG_BLOCK);  // until each knows itself
  Target* mine = &g_targets[kWorkers];
  memset(g_targets, 0, sizeof g_targets);
  mine->thread = pthread_self();
  pthread_t threads[kWorkers], signaller, others = pthread_self();
  for (int i = 0; i < kWorkers; ++i) g_targets[i].thread = threads[i] = start_thread(worker, &g_targets[i]);
  signaller = start_thread(sender, NULL);
  if (!calls_only) others = start_thread(canceller, NULL);
  work(mine);
  for (int i = 0; i < kWorkers; ++i) join_thread(threads[i]);
  atomic_store(&g_stop, 1);
  join_thread(signaller);
  if (!calls_only) join_thread(others);
}

int main(int argc, char** argv) {
  if (argc > 1) g_each = atoi(argv[1]);
  if (argc > 2) g_seed = (unsigned)atoi(argv[2]);
  g_pid = getpid();
  CHECK_OK(g_sem = semget(IPC_PRIVATE, 1, 0600));
  atexit(remove_sem);
  CHECK_OK(sem_init(&g_tokens, 0, 0));
  CHECK_OK(pipe(g_pipe));
  for (int i = 0; i < 64; ++i) CHECK_EQ(write(g_pipe[1], "x", 1), 1);  // more than readers
  struct sigaction queued = {.sa_sigaction = on_queued, .sa_flags = SA_SIGINFO | SA_RESTART}, process = {.sa_handler = on_process, .sa_flags = SA_RESTART};
  CHECK_OK(sigaction(SIGRTMIN, &queued, NULL));
  CHECK_OK(sigaction(SIGUSR1, &process, NULL));
  round_of(1);
  round_of(0);
  return 0;
}
