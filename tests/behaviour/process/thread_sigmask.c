// pthread_sigmask(3), pthread_create(3): a new thread inherits its creator's signal mask, changes are its own, and the
// mask stays the thread's across blocking calls; pthread_attr_setsigmask_np(3) overrides what is inherited.
#include "../check.h"

#include <sched.h>
#include <signal.h>

static sigset_t set_of(unsigned long bits) {
  sigset_t set;
  sigemptyset(&set);
  for (int signal = 1; signal < 32; ++signal)
    if (bits >> (signal - 1) & 1) sigaddset(&set, signal);
  return set;
}

static unsigned long current(void) {
  sigset_t set;
  CHECK_RC(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
  unsigned long bits = 0;
  for (int signal = 1; signal < 32; ++signal) bits |= (unsigned long)sigismember(&set, signal) << (signal - 1);
  return bits;
}

static void set_mask(unsigned long bits) {
  sigset_t set = set_of(bits);
  CHECK_RC(pthread_sigmask(SIG_SETMASK, &set, NULL), 0);
}

static unsigned long bit(int signal) { return 1ul << (signal - 1); }

static void* expect(void* arg) {
  CHECK_EQ(current(), (unsigned long)arg);
  return NULL;
}

static void* run(void* arg) {
  unsigned long inherited = bit(SIGUSR1);
  CHECK_EQ(current(), inherited);
  unsigned long mine = inherited | bit(10 + (int)((long)arg % 5));
  set_mask(mine);
  for (int i = 0; i < 20; ++i) {
    if (i % 4)
      sched_yield();
    else
      usleep(1);
    CHECK_EQ(current(), mine);
  }
  join_thread(start_thread(expect, (void*)mine));
  sigset_t add = set_of(bit(SIGTERM));
  sigset_t old;
  CHECK_EQ(sigprocmask(SIG_BLOCK, &add, &old), 0);  // Linux: per thread as well
  CHECK_EQ(current(), mine | bit(SIGTERM));
  CHECK_EQ(sigprocmask(SIG_UNBLOCK, &add, NULL), 0);
  CHECK_EQ(current(), mine);
  CHECK_RC(pthread_sigmask(77, &add, NULL), EINVAL);
  return NULL;
}

int main(void) {
  set_mask(bit(SIGUSR1));
  for (int round = 0; round < 5; ++round) {
    pthread_t threads[10];
    for (long i = 0; i < 10; ++i) threads[i] = start_thread(run, (void*)i);
    for (int i = 0; i < 10; ++i) join_thread(threads[i]);
    CHECK_EQ(current(), bit(SIGUSR1));
  }
  set_mask(0);
  join_thread(start_thread(expect, (void*)0));

  pthread_attr_t attr;
  sigset_t set = set_of(bit(SIGHUP) | bit(SIGUSR2));
  CHECK_RC(pthread_attr_init(&attr), 0);
  CHECK_RC(pthread_attr_setsigmask_np(&attr, &set), 0);
  pthread_t thread;
  CHECK_RC(pthread_create(&thread, &attr, expect, (void*)(bit(SIGHUP) | bit(SIGUSR2))), 0);
  join_thread(thread);
  CHECK_RC(pthread_attr_destroy(&attr), 0);
  CHECK_EQ(current(), 0);
  return 0;
}
