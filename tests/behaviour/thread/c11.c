// C11 threads: mutexes plain, timed and recursive, condition variables with deadlines, sleep, exit, detach. ISO C 7.26, thrd_create(3).
#include "../check.h"

#include <stdatomic.h>
#include <threads.h>

enum { kThreads = 8, kRounds = 200 };

static mtx_t plain, timed, recursive;
static cnd_t changed;
static int turn, total;
static atomic_int ended;

static struct timespec soon(void) { return deadline_after_ms(CLOCK_REALTIME, 5); }

static int take_turns(void* arg) {
  int me = (int)(long)arg;
  for (int i = 0; i < kRounds; ++i) {
    CHECK_EQ(mtx_lock(&plain), thrd_success);
    while (turn % kThreads != me) CHECK_EQ(cnd_wait(&changed, &plain), thrd_success);
    ++turn;
    CHECK_EQ(cnd_broadcast(&changed), thrd_success);
    CHECK_EQ(mtx_unlock(&plain), thrd_success);
    CHECK_EQ(mtx_lock(&recursive), thrd_success);
    CHECK_EQ(mtx_trylock(&recursive), thrd_success);
    ++total;
    if (i % 32 == 0) thrd_yield();
    CHECK_EQ(mtx_unlock(&recursive), thrd_success);
    CHECK_EQ(mtx_unlock(&recursive), thrd_success);
  }
  thrd_exit(me + 100);
}

static int finds_it_locked(void* arg) {
  struct timespec t = soon();
  CHECK_EQ(mtx_trylock(&timed), thrd_busy);
  CHECK_EQ(mtx_timedlock(&timed, &t), thrd_timedout);
  return (int)(long)arg;
}

static int ends_detached(void* arg) {
  CHECK_EQ(thrd_sleep(&(struct timespec){0, 2000000}, NULL), 0);
  atomic_fetch_add(&ended, 1);
  return (int)(long)arg;
}

static int one_waits(void* arg) {
  CHECK_EQ(mtx_lock(&plain), thrd_success);
  turn = -1;
  while (turn == -1) CHECK_EQ(cnd_wait(&changed, &plain), thrd_success);
  CHECK_EQ(mtx_unlock(&plain), thrd_success);
  return (int)(long)arg;
}

int main(void) {
  thrd_t threads[kThreads], one;
  int result;
  CHECK_EQ(mtx_init(&plain, mtx_plain), thrd_success);
  CHECK_EQ(mtx_init(&timed, mtx_timed), thrd_success);
  CHECK_EQ(mtx_init(&recursive, mtx_plain | mtx_recursive), thrd_success);
  CHECK_EQ(cnd_init(&changed), thrd_success);
  for (long i = 0; i < kThreads; ++i) CHECK_EQ(thrd_create(&threads[i], take_turns, (void*)i), thrd_success);
  for (int i = 0; i < kThreads; ++i) {
    CHECK_EQ(thrd_join(threads[i], &result), thrd_success);
    CHECK_EQ(result, i + 100);
  }
  CHECK(turn == kThreads * kRounds && total == kThreads * kRounds);

  CHECK_EQ(mtx_lock(&timed), thrd_success);
  CHECK_EQ(thrd_create(&one, finds_it_locked, (void*)7L), thrd_success);
  CHECK_EQ(thrd_join(one, &result), thrd_success);
  CHECK_EQ(result, 7);
  CHECK_EQ(mtx_unlock(&timed), thrd_success);
  struct timespec t = soon();
  CHECK_EQ(mtx_lock(&plain), thrd_success);
  int r;
  while ((r = cnd_timedwait(&changed, &plain, &t)) == thrd_success) continue;
  CHECK_EQ(r, thrd_timedout);
  CHECK_EQ(mtx_unlock(&plain), thrd_success);

  CHECK_EQ(thrd_create(&one, one_waits, NULL), thrd_success);
  for (int waits = 0; !waits;) {
    CHECK_EQ(mtx_lock(&plain), thrd_success);
    if (turn == -1) {
      turn = 1, waits = 1;
      CHECK_EQ(cnd_signal(&changed), thrd_success);
    }
    CHECK_EQ(mtx_unlock(&plain), thrd_success);
    thrd_yield();
  }
  CHECK_EQ(thrd_join(one, NULL), thrd_success);
  for (int i = 0; i < kThreads; ++i) {
    CHECK_EQ(thrd_create(&one, ends_detached, NULL), thrd_success);
    CHECK_EQ(thrd_detach(one), thrd_success);
  }
  while (atomic_load(&ended) < kThreads) thrd_sleep(&(struct timespec){0, 1000000}, NULL);
  cnd_destroy(&changed);
  mtx_destroy(&plain);
  mtx_destroy(&timed);
  mtx_destroy(&recursive);
  return 0;
}
