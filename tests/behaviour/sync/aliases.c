// The older names of mutexes, rwlocks and keys, as programs have them that were linked against an older glibc: one lock with the
// names without underscores.
#include "../check.h"

// As a linker of that time bound them.
#define OLDER(name, version) __asm__(".symver older" #name ", " #name "@" version)
OLDER(__pthread_mutex_lock, "GLIBC_2.2.5");
OLDER(__pthread_mutex_trylock, "GLIBC_2.2.5");
OLDER(__pthread_mutex_unlock, "GLIBC_2.2.5");
OLDER(__pthread_rwlock_rdlock, "GLIBC_2.2.5");
OLDER(__pthread_rwlock_wrlock, "GLIBC_2.2.5");
OLDER(__pthread_rwlock_unlock, "GLIBC_2.2.5");
OLDER(__pthread_rwlock_tryrdlock, "GLIBC_2.2.5");
OLDER(__pthread_rwlock_trywrlock, "GLIBC_2.2.5");
OLDER(__pthread_once, "GLIBC_2.2.5");
OLDER(pthread_mutex_consistent_np, "GLIBC_2.4");
OLDER(__pthread_key_create, "GLIBC_2.2.5");
int older__pthread_mutex_lock(pthread_mutex_t*);
int older__pthread_mutex_trylock(pthread_mutex_t*);
int older__pthread_mutex_unlock(pthread_mutex_t*);
int older__pthread_rwlock_rdlock(pthread_rwlock_t*);
int older__pthread_rwlock_wrlock(pthread_rwlock_t*);
int older__pthread_rwlock_unlock(pthread_rwlock_t*);
int older__pthread_rwlock_tryrdlock(pthread_rwlock_t*);
int older__pthread_rwlock_trywrlock(pthread_rwlock_t*);
int older__pthread_once(pthread_once_t*, void (*)(void));
int __sched_yield(void);
int olderpthread_mutex_consistent_np(pthread_mutex_t*);
int older__pthread_key_create(pthread_key_t*, void (*)(void*));

enum { kThreads = 8, kRounds = 500 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static long count, written;
static pthread_key_t key;

static void destroy(void* value) { __atomic_fetch_add((long*)value, 1, __ATOMIC_RELAXED); }

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int initialized;
static void initialize(void) {
  CHECK_EQ(__sched_yield(), 0);
  ++initialized;
}

static void* body(void* arg) {
  CHECK_RC(pthread_setspecific(key, arg), 0);
  CHECK_RC(older__pthread_once(&once, initialize), 0);
  CHECK_RC(pthread_once(&once, initialize), 0);
  CHECK_EQ(initialized, 1);
  for (int i = 0; i < kRounds; ++i) {
    CHECK_RC(i % 2 ? older__pthread_mutex_lock(&mutex) : pthread_mutex_lock(&mutex), 0);
    long seen = count;
    CHECK_RC(older__pthread_mutex_trylock(&mutex), EBUSY);
    if (i % 16 == 0) sched_yield();
    count = seen + 1;
    CHECK_RC(i % 3 ? older__pthread_mutex_unlock(&mutex) : pthread_mutex_unlock(&mutex), 0);
    CHECK_RC(i % 2 ? older__pthread_rwlock_wrlock(&lock) : pthread_rwlock_wrlock(&lock), 0);
    seen = written;
    if (i % 16 == 0) sched_yield();
    written = seen + 1;
    CHECK_RC(i % 3 ? older__pthread_rwlock_unlock(&lock) : pthread_rwlock_unlock(&lock), 0);
    CHECK_RC(older__pthread_rwlock_rdlock(&lock), 0);
    CHECK(written > 0);
    CHECK_RC(older__pthread_rwlock_trywrlock(&lock), EBUSY);
    CHECK_RC(older__pthread_rwlock_unlock(&lock), 0);
  }
  return NULL;
}

int main(void) {
  static long destroyed;
  CHECK_RC(older__pthread_key_create(&key, destroy), 0);
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(body, &destroyed);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_RC(older__pthread_rwlock_tryrdlock(&lock), 0);
  CHECK_RC(pthread_rwlock_trywrlock(&lock), EBUSY);
  CHECK_RC(pthread_rwlock_unlock(&lock), 0);
  CHECK_RC(olderpthread_mutex_consistent_np(&mutex), EINVAL);  // of a robust one only
  CHECK_EQ(count, (long)kThreads * kRounds);
  CHECK_EQ(written, (long)kThreads * kRounds);
  CHECK_EQ(destroyed, kThreads);
  return 0;
}
