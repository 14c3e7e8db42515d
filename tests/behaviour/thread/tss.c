// C11's thread-specific storage: destructors run at the end of each thread with its value, and again for what they set; not
// after tss_delete. tss_create(3), ISO C 7.26.6.
#include "../check.h"

#include <stdatomic.h>
#include <threads.h>

enum { kThreads = 16 };

static tss_t key, gone;
static atomic_int runs, sum, wrong;

static void destroy(void* value) {
  atomic_fetch_add(&runs, 1);
  int n = *(int*)value;
  if (n >= 1000) {
    atomic_fetch_add(&sum, n - 1000);
    free(value);
  } else {
    *(int*)value = n + 1000;
    if (tss_set(key, value) != thrd_success) atomic_fetch_add(&wrong, 1);
  }
}
static void never(void* value) {
  (void)value;
  atomic_fetch_add(&wrong, 1);
}

static int body(void* arg) {
  CHECK(tss_get(key) == NULL);
  int* mine = malloc(sizeof *mine);
  *mine = (int)(long)arg;
  CHECK_EQ(tss_set(key, mine), thrd_success);
  thrd_yield();
  CHECK(tss_get(key) == mine);
  return 7;
}

int main(void) {
  thrd_t threads[kThreads];
  CHECK_EQ(tss_create(&key, destroy), thrd_success);
  CHECK_EQ(tss_create(&gone, never), thrd_success);
  CHECK_EQ(tss_set(gone, &key), thrd_success);
  tss_delete(gone);
  for (long i = 0; i < kThreads; ++i) CHECK_EQ(thrd_create(&threads[i], body, (void*)i), thrd_success);
  int result = 0;
  for (int i = 0; i < kThreads; ++i) {
    CHECK_EQ(thrd_join(threads[i], &result), thrd_success);
    CHECK_EQ(result, 7);
  }
  CHECK_EQ(atomic_load(&runs), 2 * kThreads);
  CHECK_EQ(atomic_load(&sum), kThreads * (kThreads - 1) / 2);
  tss_delete(key);
  CHECK_EQ(atomic_load(&wrong), 0);
  return 0;
}
