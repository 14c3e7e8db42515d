// signal(7), on the main thread while workers are blocked: a handler without SA_RESTART makes sem_wait and
// sem_timedwait fail with EINTR; with SA_RESTART sem_wait goes on; pthread_cond_wait, mutex_lock, join never return
// EINTR.
#include "../check.h"

#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

static sem_t g_sem;
static sem_t g_never;
static atomic_int g_handled;
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;
static int g_flag;
static sem_t g_mutex_held;

static void on_alarm(int signal) {
  (void)signal;
  atomic_fetch_add(&g_handled, 1);
}

// Every 5 ms, so that an alarm that comes before the wait has begun doesn't matter.
static void alarms(int on) {
  struct itimerval timer = {.it_interval = {0, on ? 5000 : 0}, .it_value = {0, on ? 5000 : 0}};
  CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
}

static void handler(int flags) {
  struct sigaction action = {.sa_handler = on_alarm, .sa_flags = flags};
  CHECK_OK(sigaction(SIGALRM, &action, NULL));
  atomic_store(&g_handled, 0);
}

// Workers don't take the signal: they block it, as a program does that wants it on its main thread.
static void* blocked(void* arg) {
  sem_wait(&g_never);
  return arg;
}

static void wait_for_signals(void) {
  int start = atomic_load(&g_handled);
  while (atomic_load(&g_handled) < start + 3) sleep_ms(1);
}

static void* post_after_signals(void* arg) {
  wait_for_signals();
  CHECK_OK(sem_post(&g_sem));
  return arg;
}

static void* signal_after_signals(void* arg) {
  wait_for_signals();
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  g_flag = 1;
  CHECK_RC(pthread_cond_signal(&g_cond), 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  return arg;
}

static void* hold_during_signals(void* arg) {
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  CHECK_OK(sem_post(&g_mutex_held));
  wait_for_signals();
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  return arg;
}

static pthread_t start_masked(void* (*run)(void*)) {
  sigset_t alarm_only;
  sigset_t before;
  sigemptyset(&alarm_only);
  sigaddset(&alarm_only, SIGALRM);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &alarm_only, &before), 0);
  pthread_t thread = start_thread(run, NULL);
  CHECK_RC(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
  return thread;
}

int main(void) {
  CHECK_OK(sem_init(&g_sem, 0, 0));
  CHECK_OK(sem_init(&g_never, 0, 0));
  CHECK_OK(sem_init(&g_mutex_held, 0, 0));
  for (int i = 0; i < 4; ++i) start_masked(blocked);

  handler(0);
  alarms(1);
  for (int i = 0; i < 3; ++i) {
    CHECK_ERR(sem_wait(&g_sem), EINTR);
    struct timespec later = deadline_after_ms(CLOCK_REALTIME, 60000);
    CHECK_ERR(sem_timedwait(&g_sem, &later), EINTR);
  }
  // Never EINTR, even without SA_RESTART.
  pthread_t thread = start_masked(signal_after_signals);
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  while (!g_flag) CHECK_RC(pthread_cond_wait(&g_cond, &g_mutex), 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  join_thread(thread);
  thread = start_masked(hold_during_signals);
  while (sem_wait(&g_mutex_held) != 0) CHECK_EQ(errno, EINTR);
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  CHECK_RC(pthread_join(thread, NULL), 0);
  alarms(0);

  handler(SA_RESTART);
  alarms(1);
  thread = start_masked(post_after_signals);
  CHECK_EQ(sem_wait(&g_sem), 0);
  CHECK(atomic_load(&g_handled) >= 3);
  join_thread(thread);
  alarms(0);
  return 0;
}
