// A program with a malloc of its own, as jemalloc's, behind a mutex that is fought for. ld.so calls it with its locks held; whoever waits for
// the mutex there keeps others from dlopen, but not for ever. (The monitor wanted a further OS thread, and waited for ld.so's lock itself. Or main had that lock, in
// pthread_create, and was queued behind a thread that waited for it in the kernel, on carrier 0; another carrier idled, but main can run nowhere else.)
#include "../check.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdatomic.h>

enum { kThreads = 8, kRounds = 4 };
extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void __libc_free(void*);

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_int g_threads;

static __thread int t_takes_long;  // its next allocation
static atomic_int g_takes_long, g_stop;

static void give_way_for_long(void) {
  t_takes_long = 0;
  atomic_store(&g_takes_long, 1);
  for (long long end = now_ms() + 60; now_ms() < end;) sched_yield();
}

static void lock(void) {
  if (t_takes_long) give_way_for_long();
  if (!atomic_load(&g_threads)) return;
  pthread_mutex_lock(&g_mutex);
  sched_yield();
}
static void unlock(void) {
  if (atomic_load(&g_threads)) pthread_mutex_unlock(&g_mutex);
}
#define LOCKED(type, call) \
  lock();                  \
  type result = call;      \
  unlock();                \
  return result
void* malloc(size_t size) { LOCKED(void*, __libc_malloc(size)); }
void* calloc(size_t count, size_t size) { LOCKED(void*, __libc_calloc(count, size)); }
void* realloc(void* old, size_t size) { LOCKED(void*, __libc_realloc(old, size)); }
void free(void* p) {
  lock();
  __libc_free(p);
  unlock();
}

static void* load(void* arg) {
  for (int i = 0; i < kRounds; ++i) {
    void* lib = dlopen("libm.so.6", RTLD_NOW);
    CHECK(lib);
    CHECK_OK(dlclose(lib));
  }
  return arg;
}

static void* load_then(void* arg) {
  while (!atomic_load(&g_takes_long)) sched_yield();
  return load(arg);
}

static void* compute(void* arg) {
  for (volatile long i = 0; !atomic_load(&g_stop); ++i) {}
  return arg;
}

// Main gives way in pthread_create, in ld.so, whose lock a thread waits for meanwhile.
static void main_has_the_lock(void) {
  pthread_t threads[3];
  for (int i = 0; i < 2; ++i) threads[i] = start_thread(compute, NULL);
  sleep_ms(30);  // a second carrier has come for these
  atomic_store(&g_stop, 1);
  for (int i = 0; i < 2; ++i) join_thread(threads[i]);
  threads[0] = start_thread(load_then, NULL);
  threads[1] = start_thread(load_then, NULL);
  t_takes_long = 1;
  threads[2] = start_thread(load, NULL);
  CHECK(atomic_load(&g_takes_long));
  for (int i = 0; i < 3; ++i) join_thread(threads[i]);
}

int main(void) {
  main_has_the_lock();
  pthread_t threads[kThreads];
  threads[0] = start_thread(load, NULL);
  join_thread(threads[0]);
  atomic_store(&g_threads, 1);  // for good, while nobody else allocates
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(load, NULL);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  return 0;
}
