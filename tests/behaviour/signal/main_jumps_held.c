// Two signals at once for main, whose first handler jumps: the second one's comes, too, though main only computes from then on. (Where both came while
// main was inside the runtime, the second waited for its next call.)
#include "../check.h"

#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

enum { kRounds = 3000 };

static sigjmp_buf g_jump;
static volatile sig_atomic_t g_second;
static atomic_int g_go, g_stop;
static pthread_t g_main;
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;

static void first(int signal) { siglongjmp(g_jump, signal); }
static void second(int signal) { g_second = signal; }

static void* sends(void* arg) {
  for (int seen = 0; !atomic_load(&g_stop);) {
    int round = atomic_load(&g_go);
    if (round == seen) {
      sched_yield();
      continue;
    }
    seen = round;
    CHECK_RC(pthread_kill(g_main, SIGUSR1), 0);
    CHECK_RC(pthread_kill(g_main, SIGUSR2), 0);
  }
  return arg;
}

int main(void) {
  g_main = pthread_self();
  CHECK(signal(SIGUSR1, first) != SIG_ERR);
  CHECK(signal(SIGUSR2, second) != SIG_ERR);
  pthread_t sender = start_thread(sends, NULL);
  for (volatile int i = 1; i <= kRounds; ++i) {
    g_second = 0;
    if (sigsetjmp(g_jump, 1) == 0) {
      atomic_store(&g_go, i);
      for (;;) {  // mostly inside the runtime
        pthread_mutex_trylock(&g_mutex);
        pthread_mutex_unlock(&g_mutex);
        sched_yield();
      }
    }
    for (uint64_t turns = 0; !g_second && turns < 3000000000u; ++turns) {}
    CHECK_EQ(g_second, SIGUSR2);
  }
  atomic_store(&g_stop, 1);
  join_thread(sender);
  return 0;
}
