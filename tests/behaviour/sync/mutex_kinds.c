// pthread_mutex_lock(3), POSIX's table of mutex kinds: what each of normal, recursive, errorcheck and adaptive answers
// to a relock, a trylock, an unlock by another thread or when unlocked; for pthread_mutex_init and static initializers.
#include "../check.h"

static pthread_mutex_t g_static_normal = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t g_static_recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_mutex_t g_static_errorcheck = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static pthread_mutex_t g_static_adaptive = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
static pthread_mutex_t g_static_zero;

static void* try_it(void* mutex) {
  long rc = pthread_mutex_trylock(mutex);
  if (rc == 0) CHECK_RC(pthread_mutex_unlock(mutex), 0);
  return (void*)rc;
}

static void* unlock_it(void* mutex) { return (void*)(long)pthread_mutex_unlock(mutex); }

static void* lock_and_unlock_it(void* mutex) {
  CHECK_RC(pthread_mutex_lock(mutex), 0);
  CHECK_RC(pthread_mutex_unlock(mutex), 0);
  return NULL;
}

static int elsewhere(void* (*action)(void*), pthread_mutex_t* mutex) {
  return (int)(long)join_thread(start_thread(action, mutex));
}

static void check_common(pthread_mutex_t* mutex) {
  CHECK_RC(elsewhere(try_it, mutex), 0);
  CHECK_RC(pthread_mutex_lock(mutex), 0);
  CHECK_RC(elsewhere(try_it, mutex), EBUSY);
  CHECK_RC(pthread_mutex_destroy(mutex), EBUSY);
  CHECK_RC(pthread_mutex_unlock(mutex), 0);
  CHECK_RC(elsewhere(try_it, mutex), 0);
  CHECK_RC(pthread_mutex_trylock(mutex), 0);
  CHECK_RC(elsewhere(try_it, mutex), EBUSY);
  CHECK_RC(pthread_mutex_unlock(mutex), 0);
  // Contended: the other thread waits for our unlock.
  CHECK_RC(pthread_mutex_lock(mutex), 0);
  pthread_t waiter = start_thread(lock_and_unlock_it, mutex);
  sleep_ms(2);
  CHECK_RC(pthread_mutex_unlock(mutex), 0);
  join_thread(waiter);
  CHECK_RC(elsewhere(try_it, mutex), 0);
}

static void check_plain(pthread_mutex_t* mutex) {
  check_common(mutex);
  CHECK_RC(pthread_mutex_lock(mutex), 0);
  CHECK_RC(pthread_mutex_trylock(mutex), EBUSY);  // also for its owner
  struct timespec soon = deadline_after_ms(CLOCK_REALTIME, 20);
  CHECK_RC(pthread_mutex_timedlock(mutex, &soon), ETIMEDOUT);
  CHECK_RC(pthread_mutex_unlock(mutex), 0);
  check_common(mutex);
}

static void check_recursive(pthread_mutex_t* mutex) {
  check_common(mutex);
  CHECK_RC(pthread_mutex_unlock(mutex), EPERM);
  CHECK_RC(pthread_mutex_lock(mutex), 0);
  for (int i = 0; i < 1000; ++i) {
    struct timespec past = deadline_after_ms(CLOCK_REALTIME, -1);
    switch (i % 3) {
      case 0:
        CHECK_RC(pthread_mutex_lock(mutex), 0);
        break;
      case 1:
        CHECK_RC(pthread_mutex_trylock(mutex), 0);
        break;
      default:
        CHECK_RC(pthread_mutex_timedlock(mutex, &past), 0);
        break;
    }
  }
  CHECK_RC(elsewhere(unlock_it, mutex), EPERM);
  for (int i = 0; i < 1000; ++i) {
    if (i % 250 == 0) CHECK_RC(elsewhere(try_it, mutex), EBUSY);
    CHECK_RC(pthread_mutex_unlock(mutex), 0);
  }
  CHECK_RC(elsewhere(try_it, mutex), EBUSY);
  CHECK_RC(pthread_mutex_unlock(mutex), 0);
  CHECK_RC(elsewhere(try_it, mutex), 0);
  CHECK_RC(pthread_mutex_unlock(mutex), EPERM);
}

static void check_errorcheck(pthread_mutex_t* mutex) {
  check_common(mutex);
  CHECK_RC(pthread_mutex_unlock(mutex), EPERM);
  CHECK_RC(pthread_mutex_lock(mutex), 0);
  CHECK_RC(pthread_mutex_lock(mutex), EDEADLK);
  CHECK_RC(pthread_mutex_trylock(mutex), EBUSY);
  struct timespec later = deadline_after_ms(CLOCK_REALTIME, 10000);
  CHECK_RC(pthread_mutex_timedlock(mutex, &later), EDEADLK);
  CHECK_RC(elsewhere(unlock_it, mutex), EPERM);
  CHECK_RC(pthread_mutex_unlock(mutex), 0);
  CHECK_RC(pthread_mutex_unlock(mutex), EPERM);
}

static void check_kind(int kind, void (*check)(pthread_mutex_t*)) {
  pthread_mutexattr_t attr;
  pthread_mutex_t mutex;
  memset(&mutex, 0xa5, sizeof mutex);
  CHECK_RC(pthread_mutexattr_init(&attr), 0);
  CHECK_RC(pthread_mutexattr_settype(&attr, kind), 0);
  int got = -1;
  CHECK_RC(pthread_mutexattr_gettype(&attr, &got), 0);
  CHECK_EQ(got, kind);
  CHECK_RC(pthread_mutex_init(&mutex, &attr), 0);
  CHECK_RC(pthread_mutexattr_destroy(&attr), 0);
  check(&mutex);
  CHECK_RC(pthread_mutex_destroy(&mutex), 0);
  // Once more in the same memory.
  CHECK_RC(pthread_mutex_init(&mutex, NULL), 0);
  check_plain(&mutex);
  CHECK_RC(pthread_mutex_destroy(&mutex), 0);
}

static void* check_all(void* arg) {
  check_kind(PTHREAD_MUTEX_NORMAL, check_plain);
  check_kind(PTHREAD_MUTEX_ADAPTIVE_NP, check_plain);
  check_kind(PTHREAD_MUTEX_RECURSIVE, check_recursive);
  check_kind(PTHREAD_MUTEX_ERRORCHECK, check_errorcheck);
  check_plain(&g_static_normal);
  check_plain(&g_static_zero);
  check_plain(&g_static_adaptive);
  check_recursive(&g_static_recursive);
  check_errorcheck(&g_static_errorcheck);
  return arg;
}

int main(void) {
  check_all(NULL);
  join_thread(start_thread(check_all, NULL));
  pthread_mutexattr_t attr;
  CHECK_RC(pthread_mutexattr_init(&attr), 0);
  CHECK_RC(pthread_mutexattr_settype(&attr, 77), EINVAL);
  CHECK_RC(pthread_mutexattr_destroy(&attr), 0);
  return 0;
}
