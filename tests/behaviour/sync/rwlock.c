// pthread_rwlock_rdlock(3), wrlock, tryrdlock, trywrlock: readers hold it together, a writer alone; EBUSY, EDEADLK as
// glibc answers; static initializer and init; 10 readers at once, and counters under writers.
#include "../check.h"

#include <sched.h>

enum { kReaders = 10, kWriters = 4, kRounds = 2000 };

static pthread_rwlock_t g_lock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t g_inside;
static int g_values[4];
static int g_readers;
static int g_writers;

static void* read_together(void* arg) {
  for (int i = 0; i < 50; ++i) {
    CHECK_RC(pthread_rwlock_rdlock(&g_lock), 0);
    pthread_barrier_wait(&g_inside);  // passes only if all are inside
    CHECK_RC(pthread_rwlock_unlock(&g_lock), 0);
  }
  return arg;
}

static void* read_values(void* arg) {
  for (int i = 0; i < kRounds; ++i) {
    if (i % 8 == 0) {
      while (pthread_rwlock_tryrdlock(&g_lock) == EBUSY) sched_yield();
    } else {
      CHECK_RC(pthread_rwlock_rdlock(&g_lock), 0);
    }
    __atomic_fetch_add(&g_readers, 1, __ATOMIC_SEQ_CST);
    CHECK_EQ(__atomic_load_n(&g_writers, __ATOMIC_SEQ_CST), 0);
    int first = g_values[0];
    if (i % 64 == 0) sched_yield();
    for (int n = 1; n < 4; ++n) CHECK_EQ(g_values[n], first);
    __atomic_fetch_sub(&g_readers, 1, __ATOMIC_SEQ_CST);
    CHECK_RC(pthread_rwlock_unlock(&g_lock), 0);
  }
  return arg;
}

static void* write_values(void* arg) {
  for (int i = 0; i < kRounds; ++i) {
    if (i % 8 == 0) {
      while (pthread_rwlock_trywrlock(&g_lock) == EBUSY) sched_yield();
    } else {
      CHECK_RC(pthread_rwlock_wrlock(&g_lock), 0);
    }
    CHECK_EQ(__atomic_fetch_add(&g_writers, 1, __ATOMIC_SEQ_CST), 0);
    CHECK_EQ(__atomic_load_n(&g_readers, __ATOMIC_SEQ_CST), 0);
    for (int n = 0; n < 4; ++n) {
      ++g_values[n];
      if (i % 64 == 0) sched_yield();
    }
    CHECK_EQ(__atomic_fetch_sub(&g_writers, 1, __ATOMIC_SEQ_CST), 1);
    CHECK_RC(pthread_rwlock_unlock(&g_lock), 0);
  }
  return arg;
}

static void* try_both(void* arg) {
  int* results = arg;
  results[0] = pthread_rwlock_tryrdlock(&g_lock);
  if (results[0] == 0) CHECK_RC(pthread_rwlock_unlock(&g_lock), 0);
  results[1] = pthread_rwlock_trywrlock(&g_lock);
  if (results[1] == 0) CHECK_RC(pthread_rwlock_unlock(&g_lock), 0);
  return NULL;
}

static void check_try(int read, int write) {
  int results[2];
  join_thread(start_thread(try_both, results));
  CHECK_EQ(results[0], read);
  CHECK_EQ(results[1], write);
}

static void check_errors(void) {
  check_try(0, 0);
  CHECK_RC(pthread_rwlock_rdlock(&g_lock), 0);
  CHECK_RC(pthread_rwlock_rdlock(&g_lock), 0);  // the default kind allows a thread to read-lock twice
  check_try(0, EBUSY);
  CHECK_RC(pthread_rwlock_unlock(&g_lock), 0);
  check_try(0, EBUSY);
  CHECK_RC(pthread_rwlock_unlock(&g_lock), 0);
  CHECK_RC(pthread_rwlock_wrlock(&g_lock), 0);
  check_try(EBUSY, EBUSY);
  CHECK_RC(pthread_rwlock_wrlock(&g_lock), EDEADLK);
  CHECK_RC(pthread_rwlock_rdlock(&g_lock), EDEADLK);
  CHECK_RC(pthread_rwlock_tryrdlock(&g_lock), EBUSY);
  CHECK_RC(pthread_rwlock_trywrlock(&g_lock), EBUSY);
  CHECK_RC(pthread_rwlock_unlock(&g_lock), 0);
  check_try(0, 0);
}

static void* check_errors_in_thread(void* arg) {
  check_errors();
  return arg;
}

int main(void) {
  check_errors();
  join_thread(start_thread(check_errors_in_thread, NULL));
  pthread_t threads[kReaders + kWriters];
  CHECK_RC(pthread_barrier_init(&g_inside, NULL, kReaders), 0);
  for (int i = 0; i < kReaders; ++i) threads[i] = start_thread(read_together, NULL);
  for (int i = 0; i < kReaders; ++i) join_thread(threads[i]);
  CHECK_RC(pthread_rwlock_destroy(&g_lock), 0);
  CHECK_RC(pthread_rwlock_init(&g_lock, NULL), 0);
  for (int i = 0; i < kReaders; ++i) threads[i] = start_thread(read_values, NULL);
  for (int i = 0; i < kWriters; ++i) threads[kReaders + i] = start_thread(write_values, NULL);
  for (int i = 0; i < kReaders + kWriters; ++i) join_thread(threads[i]);
  CHECK_EQ(g_values[0], kWriters * kRounds);
  check_errors();
  CHECK_RC(pthread_rwlock_destroy(&g_lock), 0);
  return 0;
}
