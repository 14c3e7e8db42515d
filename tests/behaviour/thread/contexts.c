// Coroutines of the program's own, by makecontext, swapcontext and setcontext, on each of several threads; they park on their own stacks.
// makecontext(3), getcontext(3).
#include "../check.h"

#include <ucontext.h>

enum { kThreads = 6, kCoroutines = 4, kTurns = 40 };

struct world {
  ucontext_t home, each[kCoroutines];
  int turns[kCoroutines], now;
  char stacks[kCoroutines][65536];
};
static __thread struct world* mine;

static void coroutine(int which) {
  struct world* w = mine;
  char keep[1000];
  memset(keep, which, sizeof keep);
  while (w->turns[which] < kTurns) {
    ++w->turns[which];
    if (w->turns[which] % 8 == 0) usleep(100);
    w->now = (which + 1) % kCoroutines;
    CHECK_OK(swapcontext(&w->each[which], &w->each[w->now]));
    CHECK(keep[77] == which && w == mine);
  }
  setcontext(&w->home);
}

static void* body(void* arg) {
  struct world* w = mine = calloc(1, sizeof *w);
  for (volatile int i = 0; i < kCoroutines; ++i) {
    CHECK_OK(getcontext(&w->each[i]));
    w->each[i].uc_stack.ss_sp = w->stacks[i];
    w->each[i].uc_stack.ss_size = sizeof w->stacks[i];
    w->each[i].uc_link = NULL;
    makecontext(&w->each[i], (void (*)(void))(void*)coroutine, 1, i);
  }
  CHECK_OK(swapcontext(&w->home, &w->each[0]));
  for (int i = 0; i < kCoroutines; ++i) CHECK_EQ(w->turns[i], kTurns);
  free(w);
  return arg;
}

int main(void) {
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(body, NULL);
  body(NULL);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  return 0;
}
