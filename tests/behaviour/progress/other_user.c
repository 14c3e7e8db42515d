// A daemon that has given up its user can't read its own /proc/self/task/TID/syscall. Who blocks behind everybody's back there is in
// nobody's way all the same, main's least of all, and sees no EINTR that has no cause.
#include "raw.h"

#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/prctl.h>

enum { kRounds = 15 };
static int g_pipe[2];
static atomic_int g_seen;

static void wait_in(int way) {
  struct pollfd p = {.fd = g_pipe[0], .events = POLLIN};
  char byte;
  if (way == 0) CHECK_EQ(raw_call(SYS_poll, (long)&p, 1, -1, 0, 0, 0), 1);
  if (way == 1) CHECK_EQ(raw_call(SYS_ppoll, (long)&p, 1, 0, 0, 8, 0), 1);
  CHECK_EQ(raw_call(SYS_read, g_pipe[0], (long)&byte, 1, 0, 0, 0), 1);
}

static void* waiter(void* arg) {
  for (int i = 0; i < kRounds; ++i) {
    wait_in(i % 3);
    atomic_store(&g_seen, i + 1);
  }
  return arg;
}

int main(void) {
  if (geteuid() == 0) {
    CHECK_OK(setgroups(0, NULL));
    CHECK_OK(setresgid(65534, 65534, 65534));
    CHECK_OK(setresuid(65534, 65534, 65534));
  } else {
    CHECK_OK(prctl(PR_SET_DUMPABLE, 0));
  }
  CHECK_OK(pipe(g_pipe));
  pthread_t thread = start_thread(waiter, NULL);
  for (int i = 0; i < kRounds; ++i) {
    sleep_ms(5);  // it waits by now, most likely
    CHECK_EQ(write(g_pipe[1], "x", 1), 1);
    while (atomic_load(&g_seen) <= i) sched_yield();
  }
  join_thread(thread);
  return 0;
}
