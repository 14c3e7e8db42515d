// timer_create with SIGEV_THREAD_ID: the handler runs on the thread that was named, parked or computing; SIGEV_THREAD calls a function on a thread
// of libc's; timers that are deleted say no more.
#include "../check.h"

#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

static __thread atomic_int t_ran;
static __thread int t_value;
static sem_t g_called, g_never;

static void on_signal(int signal, siginfo_t* info, void* context) {
  (void)signal, (void)context;
  CHECK_EQ(info->si_code, SI_TIMER);
  CHECK_EQ(info->si_value.sival_int, t_value);
  atomic_fetch_add(&t_ran, 1);
}
static void called(union sigval value) {
  CHECK_EQ(value.sival_int, 9);
  CHECK_OK(sem_post(&g_called));
}

static void* run(void* arg) {
  t_value = (int)(long)arg;
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_int = t_value};
  event._sigev_un._tid = gettid();
  timer_t timer;
  CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
  struct itimerspec often = {{0, 1000000}, {0, 1000000}}, once = {{0, 0}, {0, 1000000}}, now;
  CHECK_OK(timer_settime(timer, 0, &often, NULL));
  while (atomic_load(&t_ran) < 3) {}
  while (atomic_load(&t_ran) < 6) CHECK_ERR(sem_wait(&g_never), EINTR);
  CHECK_OK(timer_gettime(timer, &now));
  CHECK_EQ(now.it_interval.tv_nsec, 1000000);
  CHECK_OK(timer_delete(timer));
  usleep(3000);  // what was on its way
  int ran = atomic_load(&t_ran);
  CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
  CHECK_OK(timer_settime(timer, 0, &once, NULL));
  while (atomic_load(&t_ran) == ran) usleep(500);
  CHECK_OK(timer_delete(timer));
  return arg;
}

int main(void) {
  CHECK_OK(sem_init(&g_called, 0, 0));
  CHECK_OK(sem_init(&g_never, 0, 0));
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
  CHECK_OK(sigaction(SIGRTMIN + 1, &action, NULL));
  pthread_t threads[4];
  for (long i = 0; i < 4; ++i) threads[i] = start_thread(run, (void*)i);
  for (int i = 0; i < 4; ++i) join_thread(threads[i]);
  struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_value.sival_int = 9, .sigev_notify_function = called};
  timer_t timer;
  CHECK_OK(timer_create(CLOCK_REALTIME, &event, &timer));
  struct itimerspec once = {{0, 0}, {0, 1000000}};
  CHECK_OK(timer_settime(timer, 0, &once, NULL));
  CHECK_OK(sem_wait(&g_called));
  CHECK_OK(timer_delete(timer));
  event.sigev_notify = SIGEV_THREAD_ID;
  event._sigev_un._tid = 0x7ffffff0;
  CHECK_ERR(timer_create(CLOCK_MONOTONIC, &event, &timer), EINVAL);
  return 0;
}
