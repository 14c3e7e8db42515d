// The caller's signal mask, a signal at a time. Include check.h first.
#ifndef VTSHIM_TESTS_BEHAVIOUR_SIGNAL_MASKS_H
#define VTSHIM_TESTS_BEHAVIOUR_SIGNAL_MASKS_H

#include <signal.h>

// SIG_BLOCK or SIG_UNBLOCK.
static inline void change(int how, int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  CHECK_RC(pthread_sigmask(how, &set, NULL), 0);
}

static inline int blocks(int signal) {
  sigset_t now;
  CHECK_RC(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
  return sigismember(&now, signal);
}

#endif
