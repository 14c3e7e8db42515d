// <threads.h>: thrd_, mtx_ of each type, cnd_, tss_ and call_once, with their results, the timed ones, and threads that hand on to each other.
#include "../check.h"

#include <stdint.h>
#include <threads.h>

enum { kThreads = 30, kRounds = 100 };
static mtx_t mutex;
static cnd_t cond;
static tss_t key;
static once_flag flag = ONCE_FLAG_INIT;
static int calls, destroyed, counter, turn;

static struct timespec utc_after_ms(long ms) { return deadline_after_ms(CLOCK_REALTIME, ms); }

static int hold(void* arg) {
  CHECK_EQ(mtx_lock(&mutex), thrd_success);
  __atomic_store_n((int*)arg, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n((int*)arg, __ATOMIC_SEQ_CST) != 2) thrd_yield();
  CHECK_EQ(mtx_unlock(&mutex), thrd_success);
  return 42;
}

static void check_mutex(int type) {
  CHECK_EQ(mtx_init(&mutex, type), thrd_success);
  CHECK_EQ(mtx_lock(&mutex), thrd_success);
  CHECK_EQ(mtx_trylock(&mutex), type & mtx_recursive ? thrd_success : thrd_busy);
  if (type & mtx_recursive) CHECK_EQ(mtx_unlock(&mutex), thrd_success);
  CHECK_EQ(mtx_unlock(&mutex), thrd_success);
  thrd_t holder;
  int state = 0, result = 0;
  CHECK_EQ(thrd_create(&holder, hold, &state), thrd_success);
  while (__atomic_load_n(&state, __ATOMIC_SEQ_CST) != 1) thrd_yield();
  CHECK_EQ(mtx_trylock(&mutex), thrd_busy);
  struct timespec soon = utc_after_ms(3), past = utc_after_ms(-1000);
  CHECK_EQ(mtx_timedlock(&mutex, &soon), thrd_timedout);
  CHECK_EQ(mtx_timedlock(&mutex, &past), thrd_timedout);
  __atomic_store_n(&state, 2, __ATOMIC_SEQ_CST);
  struct timespec late = utc_after_ms(60000);
  CHECK_EQ(mtx_timedlock(&mutex, &late), thrd_success);
  CHECK_EQ(mtx_unlock(&mutex), thrd_success);
  CHECK_EQ(thrd_join(holder, &result), thrd_success);
  CHECK_EQ(result, 42);
  mtx_destroy(&mutex);
}

static int take_turns(void* arg) {
  for (int i = 0; i < kRounds; ++i) {
    CHECK_EQ(mtx_lock(&mutex), thrd_success);
    while (turn % 3 != (int)(intptr_t)arg) {
      struct timespec late = utc_after_ms(60000);
      CHECK_EQ(i % 2 ? cnd_wait(&cond, &mutex) : cnd_timedwait(&cond, &mutex, &late), thrd_success);
    }
    ++turn;
    CHECK_EQ(cnd_broadcast(&cond), thrd_success);
    CHECK_EQ(mtx_unlock(&mutex), thrd_success);
  }
  return 0;
}

static void once(void) {
  struct timespec short_time = {0, 1000000};
  CHECK_EQ(thrd_sleep(&short_time, NULL), 0);
  ++calls;
}
static void destroy(void* value) {
  CHECK(value == &counter);
  __atomic_add_fetch(&destroyed, 1, __ATOMIC_SEQ_CST);
}
static int use_all(void* arg) {
  call_once(&flag, once);
  CHECK_EQ(calls, 1);
  CHECK(tss_get(key) == NULL);
  CHECK_EQ(tss_set(key, &counter), thrd_success);
  CHECK(tss_get(key) == &counter);
  CHECK_EQ(mtx_lock(&mutex), thrd_success);
  ++counter;
  CHECK_EQ(cnd_signal(&cond), thrd_success);
  CHECK_EQ(mtx_unlock(&mutex), thrd_success);
  if ((intptr_t)arg % 2) thrd_exit((int)(intptr_t)arg);
  return (int)(intptr_t)arg;
}

static int everything(void* arg) {
  check_mutex(mtx_plain);
  check_mutex(mtx_timed);
  check_mutex(mtx_plain | mtx_recursive);
  check_mutex(mtx_timed | mtx_recursive);
  CHECK_EQ(mtx_init(&mutex, mtx_plain), thrd_success);
  CHECK_EQ(cnd_init(&cond), thrd_success);
  thrd_t threads[kThreads];
  turn = counter = destroyed = 0;
  for (intptr_t i = 0; i < 3; ++i) CHECK_EQ(thrd_create(&threads[i], take_turns, (void*)i), thrd_success);
  for (int i = 0; i < 3; ++i) CHECK_EQ(thrd_join(threads[i], NULL), thrd_success);
  CHECK_EQ(turn, 3 * kRounds);
  for (intptr_t i = 0; i < kThreads; ++i) CHECK_EQ(thrd_create(&threads[i], use_all, (void*)i), thrd_success);
  CHECK_EQ(mtx_lock(&mutex), thrd_success);
  while (counter < kThreads) CHECK_EQ(cnd_wait(&cond, &mutex), thrd_success);
  struct timespec soon = utc_after_ms(3);
  CHECK_EQ(cnd_timedwait(&cond, &mutex, &soon), thrd_timedout);
  CHECK_EQ(mtx_unlock(&mutex), thrd_success);
  for (int i = 0; i < kThreads; ++i) {
    int result = -1;
    CHECK_EQ(thrd_join(threads[i], &result), thrd_success);
    CHECK_EQ(result, i);
  }
  CHECK_EQ(destroyed, kThreads);
  cnd_destroy(&cond);
  mtx_destroy(&mutex);
  struct timespec bad = {0, 1000000000};
  CHECK_EQ(thrd_sleep(&bad, NULL), -2);
  CHECK(thrd_equal(thrd_current(), thrd_current()));
  return (int)(intptr_t)arg;
}

int main(void) {
  CHECK_EQ(tss_create(&key, destroy), thrd_success);
  everything(NULL);
  thrd_t worker;
  int result = 0;
  CHECK_EQ(thrd_create(&worker, everything, (void*)7), thrd_success);
  CHECK_EQ(thrd_join(worker, &result), thrd_success);
  CHECK_EQ(result, 7);
  tss_delete(key);
  return 0;
}
