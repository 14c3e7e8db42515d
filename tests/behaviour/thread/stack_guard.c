// pthread_attr_setguardsize(3): a thread that overruns its stack dies by SIGSEGV (it doesn't write into its neighbours),
// for the default and for small stacks, recycled ones included.
#include "../check.h"

#include <semaphore.h>
#include <signal.h>
#include <sys/resource.h>

static size_t g_size;
static volatile int g_depth_limit = 1 << 30;

__attribute__((noinline)) static int overrun(int depth) {
  volatile char frame[512];
  frame[0] = (char)depth;
  if (depth >= g_depth_limit) return 0;
  return overrun(depth + 1) + frame[0];
}

static void* run_overrun(void* arg) {
  (void)arg;
  sleep_ms(1);
  return (void*)(long)overrun(0);
}

static void* identity(void* arg) { return arg; }

static void child(void) {
  struct rlimit no_core = {0, 0};
  CHECK_OK(setrlimit(RLIMIT_CORE, &no_core));
  pthread_t threads[8];
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 8; ++i) threads[i] = start_thread_with_stack(g_size, identity, NULL);
    for (int i = 0; i < 8; ++i) join_thread(threads[i]);
  }
  join_thread(start_thread_with_stack(g_size, run_overrun, NULL));
}

int main(void) {
  static const size_t kSizes[] = {64 << 10, 256 << 10, 8 << 20};
  for (int i = 0; i < 3; ++i) {
    g_size = kSizes[i];
    int status = wait_status(fork_child(child));
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGSEGV);
  }
  return 0;
}
