// The mask that siglongjmp restores on main holds wherever main waits: in calls that only the kernel knows how to wait in, too, after jumps out of
// handlers that came one on top of the other's jump, out of sigsuspend, out of the call that unblocked the signal, and out of none. So
// do those that a handler's return restores, and setcontext(3).
#include "../check.h"
#include "masks.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <ucontext.h>

enum { kRounds = 20, kPatience = 20000 };  // ms

static pthread_t g_main;
static int g_lock[2];
static atomic_int g_handled, g_send, g_waits, g_sends, g_stop;
static sigjmp_buf g_jump;
static volatile sig_atomic_t g_again;

static void counts(int signal) {
  (void)signal;
  atomic_fetch_add(&g_handled, 1);
}
static void jumps(int signal) {
  (void)signal;
  siglongjmp(g_jump, 1);
}
/// One more of its kind is pending when it jumps, which comes then.
static void jumps_again(int signal) {
  if (g_again) {
    --g_again;
    CHECK_EQ(raise(signal), 0);
  }
  siglongjmp(g_jump, 1);
}

static void handle(int signal, void (*handler)(int)) {
  struct sigaction action = {.sa_handler = handler};
  CHECK_OK(sigaction(signal, &action, NULL));
}

/// Sends g_send for as long as main waits; each must be handled.
static void* sends(void* arg) {
  while (!atomic_load(&g_stop)) {
    atomic_store(&g_sends, 1);
    int waits = atomic_load(&g_waits), before = atomic_load(&g_handled);
    if (waits) CHECK_RC(pthread_kill(g_main, atomic_load(&g_send)), 0);
    for (int ms = 0; waits && atomic_load(&g_handled) == before && atomic_load(&g_waits); ++ms) {
      CHECK(ms < kPatience);
      usleep(1000);
    }
    atomic_store(&g_sends, 0);
    usleep(50);
  }
  return arg;
}

static void no_more(void) {
  atomic_store(&g_waits, 0);
  while (atomic_load(&g_sends)) sched_yield();
  sched_yield();  // it's handled
}
static void waits_away(int signal) {
  handle(signal, counts);
  atomic_store(&g_send, signal);
  atomic_store(&g_waits, 1);
  CHECK_ERR(flock(g_lock[1], LOCK_EX), EINTR);
  no_more();
}

static void __attribute__((noinline)) out_of_none(void) {
  if (sigsetjmp(g_jump, 1) == 0) {
    change(SIG_BLOCK, SIGUSR1);
    siglongjmp(g_jump, 1);
  }
  CHECK(!blocks(SIGUSR1));
  waits_away(SIGUSR1);
}

static void __attribute__((noinline)) into_blocked(void) {
  change(SIG_BLOCK, SIGUSR1);
  if (sigsetjmp(g_jump, 1) == 0) {
    change(SIG_UNBLOCK, SIGUSR1);
    waits_away(SIGUSR1);
    siglongjmp(g_jump, 1);
  }
  CHECK(blocks(SIGUSR1));
  change(SIG_UNBLOCK, SIGUSR1);
  waits_away(SIGUSR1);
}

static void __attribute__((noinline)) out_of_unblocking(void) {
  handle(SIGUSR2, jumps);
  if (sigsetjmp(g_jump, 1) == 0) {
    change(SIG_BLOCK, SIGUSR2);
    CHECK_EQ(raise(SIGUSR2), 0);
    change(SIG_UNBLOCK, SIGUSR2);
    CHECK(!"got there");
  }
  CHECK(!blocks(SIGUSR2));
  waits_away(SIGUSR2);
}

static void __attribute__((noinline)) out_of_suspend(void) {
  handle(SIGUSR2, jumps);
  if (sigsetjmp(g_jump, 1) == 0) {
    sigset_t mask;
    sigfillset(&mask);
    sigdelset(&mask, SIGUSR2);
    change(SIG_BLOCK, SIGUSR2);
    CHECK_EQ(raise(SIGUSR2), 0);
    sigsuspend(&mask);
    CHECK(!"got there");
  }
  CHECK(!blocks(SIGUSR1));
  CHECK_OK(poll(NULL, 0, 1));  // what ran in sigsuspend ends no later call
  waits_away(SIGUSR1);
}

/// Out of the wait; the next handlers come while the first one's jump brings main home, and while theirs is under way.
static void __attribute__((noinline)) out_of_jumps(int more) {
  static volatile int rounds;
  for (rounds = 0; rounds < 3; ++rounds) {
    g_again = more;
    if (sigsetjmp(g_jump, 1) == 0) {
      handle(SIGHUP, jumps_again);
      atomic_store(&g_send, SIGHUP);
      atomic_store(&g_waits, 1);
      for (;;) flock(g_lock[1], LOCK_EX);
    }
    handle(SIGHUP, counts);  // one may have been sent before this
    no_more();
    CHECK(!blocks(SIGHUP));
    waits_away(SIGHUP);
  }
}

static void unblocks(int signal, siginfo_t* info, void* context) {
  (void)signal, (void)info;
  sigdelset(&((ucontext_t*)context)->uc_sigmask, SIGUSR2);
}
/// No jump: the handler's return restores what the handler has put there.
static void changed_in_handler(void) {
  struct sigaction action = {.sa_sigaction = unblocks, .sa_flags = SA_SIGINFO};
  CHECK_OK(sigaction(SIGHUP, &action, NULL));
  change(SIG_BLOCK, SIGUSR2);
  CHECK_EQ(raise(SIGHUP), 0);
  CHECK(!blocks(SIGUSR2));
  waits_away(SIGUSR2);
}

/// setcontext's and swapcontext's, too.
static void __attribute__((noinline)) by_contexts(void) {
  static ucontext_t out, in;
  static volatile int times;
  times = 0;
  CHECK_OK(getcontext(&out));
  if (times++ == 0) {
    change(SIG_BLOCK, SIGUSR2);
    setcontext(&out);
  }
  CHECK(!blocks(SIGUSR2));
  waits_away(SIGUSR2);
  times = 0;
  CHECK_OK(getcontext(&out));
  if (times++ == 0) {
    change(SIG_BLOCK, SIGUSR2);
    swapcontext(&in, &out);
    CHECK(blocks(SIGUSR2));
    change(SIG_UNBLOCK, SIGUSR2);
    waits_away(SIGUSR2);
  } else if (times == 2) {
    CHECK(!blocks(SIGUSR2));
    waits_away(SIGUSR2);
    setcontext(&in);
  }
}

int main(void) {
  g_main = pthread_self();
  char path[] = "/tmp/main_jumps_masks.XXXXXX";
  CHECK_OK(g_lock[0] = mkstemp(path));
  CHECK_OK(g_lock[1] = open(path, O_RDWR));
  CHECK_OK(unlink(path));
  CHECK_OK(flock(g_lock[0], LOCK_EX));
  pthread_t t = start_thread(sends, NULL);
  for (int i = 0; i < kRounds; ++i) {
    out_of_none();
    into_blocked();
    out_of_unblocking();
    out_of_suspend();
    out_of_jumps(i % 4);
    changed_in_handler();
    by_contexts();
  }
  atomic_store(&g_stop, 1);
  join_thread(t);
  return 0;
}
