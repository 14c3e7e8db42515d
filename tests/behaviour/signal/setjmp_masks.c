// sigsetjmp(3): the mask that a jump restores is the thread's own at sigsetjmp, whatever it has blocked or unblocked since, on whichever OS thread it
// ran; what the mask lets in is delivered. Where no mask was saved it stays: in a jump out of a handler what that one blocked. Workers and main.
#include "../check.h"
#include "masks.h"

#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>

void __longjmp_chk(struct __jmp_buf_tag*, int) __attribute__((noreturn));

static __thread sigjmp_buf t_env;
static __thread volatile sig_atomic_t t_handled;

static void counts(int signal) {
  (void)signal;
  ++t_handled;
}
static void jumps(int signal) {
  (void)signal;
  siglongjmp(t_env, 5);
}

static void __attribute__((noinline)) within_call(volatile int save) {
  change(SIG_BLOCK, SIGUSR1);
  change(SIG_UNBLOCK, SIGUSR2);
  int r = sigsetjmp(t_env, save);
  if (r == 0) {
    usleep(200);  // parks
    change(SIG_UNBLOCK, SIGUSR1);
    change(SIG_BLOCK, SIGUSR2);
    usleep(200);
    siglongjmp(t_env, 3);
  }
  CHECK_EQ(r, 3);
  CHECK_EQ(blocks(SIGUSR1), save);
  CHECK_EQ(blocks(SIGUSR2), !save);
  change(SIG_UNBLOCK, SIGUSR1);
  change(SIG_UNBLOCK, SIGUSR2);
}

static void __attribute__((noinline)) lets_in(void) {
  t_handled = 0;
  volatile int before = 0;
  if (sigsetjmp(t_env, 1) == 0) {
    change(SIG_BLOCK, SIGUSR2);
    CHECK_RC(pthread_kill(pthread_self(), SIGUSR2), 0);
    before = t_handled;
    __longjmp_chk(t_env, 1);
  }
  CHECK_EQ(before, 0);
  CHECK_EQ(t_handled, 1);
  CHECK(!blocks(SIGUSR2));
}

static void __attribute__((noinline)) out_of_handler(volatile int save) {
  if (sigsetjmp(t_env, save) == 0) {
    CHECK_RC(pthread_kill(pthread_self(), SIGHUP), 0);
    CHECK(!"got there");
  }
  CHECK_EQ(blocks(SIGHUP), !save);
  CHECK_EQ(blocks(SIGUSR1), !save);  // of the handler's sa_mask
  change(SIG_UNBLOCK, SIGHUP);
  change(SIG_UNBLOCK, SIGUSR1);
}

static void __attribute__((noinline)) by_the_function(void) {
  change(SIG_BLOCK, SIGUSR1);
  int r = (setjmp)(t_env);  // the function saves the mask, the macro of that name doesn't
  if (r == 0) {
    change(SIG_UNBLOCK, SIGUSR1);
    longjmp(t_env, 0);
  }
  CHECK_EQ(r, 1);
  CHECK(blocks(SIGUSR1));
  change(SIG_UNBLOCK, SIGUSR1);
}

static void __attribute__((noinline)) copied(void) {
  sigjmp_buf kept;
  change(SIG_BLOCK, SIGUSR1);
  if (__sigsetjmp(t_env, 1) == 0) {
    memcpy(kept, t_env, sizeof kept);
    change(SIG_UNBLOCK, SIGUSR1);
    siglongjmp(kept, 1);
  }
  CHECK(blocks(SIGUSR1));
  change(SIG_UNBLOCK, SIGUSR1);
}

static void* runs(void* arg) {
  for (int i = 0; i < 20; ++i) {
    within_call(1);
    within_call(0);
    lets_in();
    out_of_handler(1);
    out_of_handler(0);
    by_the_function();
    copied();
  }
  return arg;
}

int main(void) {
  struct sigaction action = {.sa_handler = counts};
  CHECK_OK(sigaction(SIGUSR2, &action, NULL));
  action.sa_handler = jumps;
  sigaddset(&action.sa_mask, SIGUSR1);
  CHECK_OK(sigaction(SIGHUP, &action, NULL));
  pthread_t threads[8];
  for (int i = 0; i < 8; ++i) CHECK_RC(pthread_create(&threads[i], NULL, runs, NULL), 0);
  runs(NULL);
  for (int i = 0; i < 8; ++i) CHECK_RC(pthread_join(threads[i], NULL), 0);
  return 0;
}
