// pthread_rwlockattr_setkind_np(3): whether a reader passes a writer that waits, by rdlock, tryrdlock and the timed ones, for each kind.
// Private and process-shared.
#include "../check.h"

static pthread_rwlock_t lock;
static int started, next;

static void* write_later(void* arg) {
  __atomic_store_n(&started, 1, __ATOMIC_SEQ_CST);
  CHECK_RC(pthread_rwlock_wrlock(&lock), 0);
  __atomic_add_fetch(&next, 1, __ATOMIC_SEQ_CST);
  CHECK_RC(pthread_rwlock_unlock(&lock), 0);
  return arg;
}

static void* read_now(void* arg) {
  int passes = *(int*)arg;
  struct timespec soon = deadline_after_ms(CLOCK_REALTIME, 5), mono = deadline_after_ms(CLOCK_MONOTONIC, 5);
  int busy = passes ? 0 : EBUSY, late = passes ? 0 : ETIMEDOUT, rc;
  CHECK_RC(rc = pthread_rwlock_tryrdlock(&lock), busy);
  if (!rc) CHECK_RC(pthread_rwlock_unlock(&lock), 0);
  CHECK_RC(rc = pthread_rwlock_timedrdlock(&lock, &soon), late);
  if (!rc) CHECK_RC(pthread_rwlock_unlock(&lock), 0);
  CHECK_RC(rc = pthread_rwlock_clockrdlock(&lock, CLOCK_MONOTONIC, &mono), late);
  if (!rc) CHECK_RC(pthread_rwlock_unlock(&lock), 0);
  CHECK_RC(pthread_rwlock_trywrlock(&lock), EBUSY);
  soon = deadline_after_ms(CLOCK_REALTIME, 5);
  CHECK_RC(pthread_rwlock_timedwrlock(&lock, &soon), ETIMEDOUT);
  CHECK_RC(pthread_rwlock_clockwrlock(&lock, CLOCK_BOOTTIME, &mono), EINVAL);
  return NULL;
}

static void check(int kind, int shared, int passes) {
  pthread_rwlockattr_t attr;
  int got = -1;
  CHECK_RC(pthread_rwlockattr_init(&attr), 0);
  CHECK_RC(pthread_rwlockattr_setkind_np(&attr, kind), 0);
  CHECK_RC(pthread_rwlockattr_getkind_np(&attr, &got), 0);
  CHECK_EQ(got, kind);
  CHECK_RC(pthread_rwlockattr_setpshared(&attr, shared), 0);
  CHECK_RC(pthread_rwlock_init(&lock, &attr), 0);
  started = next = 0;
  CHECK_RC(pthread_rwlock_rdlock(&lock), 0);
  pthread_t writer = start_thread(write_later, NULL);
  while (!__atomic_load_n(&started, __ATOMIC_SEQ_CST)) sched_yield();
  // It waits, when a reader is refused, or, where none is, in a while.
  if (passes) sleep_ms(3);
  else
    for (int rc; (rc = pthread_rwlock_tryrdlock(&lock)) != EBUSY; sched_yield()) CHECK_RC(rc == 0 ? pthread_rwlock_unlock(&lock) : rc, 0);
  join_thread(start_thread(read_now, &passes));
  CHECK_EQ(next, 0);
  CHECK_RC(pthread_rwlock_unlock(&lock), 0);
  join_thread(writer);
  CHECK_EQ(next, 1);
  // Its own.
  CHECK_RC(pthread_rwlock_wrlock(&lock), 0);
  CHECK_RC(pthread_rwlock_rdlock(&lock), EDEADLK);
  CHECK_RC(pthread_rwlock_wrlock(&lock), EDEADLK);
  CHECK_RC(pthread_rwlock_tryrdlock(&lock), EBUSY);
  CHECK_RC(pthread_rwlock_unlock(&lock), 0);
  CHECK_RC(pthread_rwlock_destroy(&lock), 0);
}

static void* everything(void* arg) {
  for (int shared = PTHREAD_PROCESS_PRIVATE; shared <= PTHREAD_PROCESS_SHARED; ++shared) {
    check(PTHREAD_RWLOCK_PREFER_READER_NP, shared, 1);
    check(PTHREAD_RWLOCK_PREFER_WRITER_NP, shared, 1);
    check(PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP, shared, 0);
  }
  return arg;
}

int main(void) {
  everything(NULL);
  join_thread(start_thread(everything, NULL));
  return 0;
}
