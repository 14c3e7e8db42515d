// The threads of a library that VTSHIM_NATIVE_LIBS names stay platform threads, and share a mutex, a semaphore, a condition variable, a
// read-write lock, a barrier and a queue with virtual ones: nothing is lost, and neither kind keeps the other out. Natively both are alike.
#include "../tls/open_lib.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <sys/syscall.h>

enum { kEach = 4, kAll = 2 * kEach, kRounds = 400, kBarrierRounds = 60, kQueue = 5, kItems = 600 };

typedef int (*Starter)(pthread_t*, void* (*)(void*), void*);
static Starter g_start_native;
static int (*g_is_virtual)(void);

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER, g_queue_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_more = PTHREAD_COND_INITIALIZER, g_less = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t g_rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t g_barrier;
static sem_t g_there[kEach], g_back[kEach], g_slots;
static long g_counter, g_a, g_b;
static atomic_int g_in_slots, g_arrived, g_serial;
static int g_ring[kQueue], g_filled, g_first;
static atomic_int g_taken[kAll / 2 * kItems], g_taken_by[2];
static atomic_int g_left;  // items not yet taken

// Even threads are the library's.
static int is_native(long i) { return i % 2 == 0; }

static void put(int item) {
  CHECK_RC(pthread_mutex_lock(&g_queue_mutex), 0);
  while (g_filled == kQueue) CHECK_RC(pthread_cond_wait(&g_less, &g_queue_mutex), 0);
  g_ring[(g_first + g_filled++) % kQueue] = item;
  CHECK_RC(pthread_cond_signal(&g_more), 0);
  CHECK_RC(pthread_mutex_unlock(&g_queue_mutex), 0);
}
static int take(void) {
  CHECK_RC(pthread_mutex_lock(&g_queue_mutex), 0);
  while (g_filled == 0) CHECK_RC(pthread_cond_wait(&g_more, &g_queue_mutex), 0);
  int item = g_ring[g_first];
  g_first = (g_first + 1) % kQueue;
  --g_filled;
  CHECK_RC(pthread_cond_signal(&g_less), 0);
  CHECK_RC(pthread_mutex_unlock(&g_queue_mutex), 0);
  return item;
}

static void* body(void* arg) {
  long i = (long)arg;
  if (g_is_virtual) {
    CHECK_EQ(g_is_virtual(), !is_native(i));
    if (is_native(i)) CHECK_EQ(gettid(), syscall(SYS_gettid));
  }
  long tid_before = gettid();
  for (int k = 0; k < kRounds; ++k) {
    CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
    long before = g_counter;
    if ((k + i) % 32 == 0) usleep(50);
    g_counter = before + 1;
    CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);

    // Each library thread with the virtual one after it.
    if (is_native(i)) {
      CHECK_OK(sem_post(&g_there[i / 2]));
      CHECK_OK(sem_wait(&g_back[i / 2]));
    } else {
      CHECK_OK(sem_wait(&g_there[i / 2]));
      CHECK_OK(sem_post(&g_back[i / 2]));
    }

    CHECK_OK(sem_wait(&g_slots));
    CHECK(atomic_fetch_add(&g_in_slots, 1) < 3);
    if (k % 64 == 0) usleep(20);
    atomic_fetch_sub(&g_in_slots, 1);
    CHECK_OK(sem_post(&g_slots));

    if ((k + i) % 8 == 0) {
      CHECK_RC(pthread_rwlock_wrlock(&g_rwlock), 0);
      ++g_a;
      if (k % 64 == 0) usleep(20);
      ++g_b;
    } else {
      CHECK_RC(pthread_rwlock_rdlock(&g_rwlock), 0);
      CHECK_EQ(g_a, g_b);
    }
    CHECK_RC(pthread_rwlock_unlock(&g_rwlock), 0);
  }
  for (int k = 0; k < kBarrierRounds; ++k) {
    atomic_fetch_add(&g_arrived, 1);
    int r = pthread_barrier_wait(&g_barrier);
    CHECK(r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD);
    if (r) atomic_fetch_add(&g_serial, 1);
    CHECK(atomic_load(&g_arrived) >= (k + 1) * kAll);
  }
  CHECK_EQ(gettid(), tid_before);
  return arg;
}

// Two of each kind produce, two of each kind consume.
static void* queue_body(void* arg) {
  long i = (long)arg;
  if (g_is_virtual) CHECK_EQ(g_is_virtual(), !is_native(i));
  if (i / 2 % 2 == 0) {
    long producer = i % 2 + i / 4 * 2;
    for (int k = 0; k < kItems; ++k) put((int)(producer * kItems + k));
  } else {
    while (atomic_fetch_sub(&g_left, 1) > 0) {
      CHECK_EQ(atomic_fetch_add(&g_taken[take()], 1), 0);
      atomic_fetch_add(&g_taken_by[is_native(i)], 1);
    }
  }
  return arg;
}

static void run_all(void* (*what)(void*)) {
  pthread_t threads[kAll];
  for (long i = 0; i < kAll; ++i) {
    if (is_native(i)) CHECK_RC(g_start_native(&threads[i], what, (void*)i), 0);
    else threads[i] = start_thread(what, (void*)i);
  }
  for (long i = 0; i < kAll; ++i) CHECK_EQ((long)join_thread(threads[i]), i);
}

int main(int argc, char** argv) {
  (void)argc;
  *(void**)&g_is_virtual = dlsym(RTLD_DEFAULT, "vtshim_is_virtual");
  if (g_is_virtual && !getenv("VTSHIM_NATIVE_LIBS")) {
    CHECK_OK(setenv("VTSHIM_NATIVE_LIBS", "libother*:libnative_work*", 1));
    execv("/proc/self/exe", argv);
    check_fail(__FILE__, __LINE__, errno, "execv");
  }
  *(void**)&g_start_native = find_in_lib(open_lib("native_worker"), "native_worker_start");
  CHECK_RC(pthread_barrier_init(&g_barrier, NULL, kAll), 0);
  CHECK_OK(sem_init(&g_slots, 0, 3));
  for (int i = 0; i < kEach; ++i) {
    CHECK_OK(sem_init(&g_there[i], 0, 0));
    CHECK_OK(sem_init(&g_back[i], 0, 0));
  }
  run_all(body);
  CHECK_EQ(g_counter, kAll * kRounds);
  CHECK_EQ(g_a, kAll * kRounds / 8);
  CHECK_EQ(atomic_load(&g_serial), kBarrierRounds);
  atomic_store(&g_left, kAll / 2 * kItems);
  run_all(queue_body);
  for (int i = 0; i < kAll / 2 * kItems; ++i) CHECK_EQ(atomic_load(&g_taken[i]), 1);
  CHECK(atomic_load(&g_taken_by[0]) > 0 && atomic_load(&g_taken_by[1]) > 0);
  return 0;
}
