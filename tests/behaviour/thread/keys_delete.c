// pthread_key_delete(3): runs no destructor, now or later; the next key starts as NULL in every thread, also where the
// deleted key had a value; EINVAL for keys that don't exist; PTHREAD_KEYS_MAX keys can exist, then EAGAIN.
#include "../check.h"

#include <limits.h>

static pthread_key_t g_key;
static pthread_barrier_t g_step;

static void on_end(void* value) {
  (void)value;
  CHECK(!"destructor of a deleted key was called");
}

static void* run(void* arg) {
  CHECK_RC(pthread_setspecific(g_key, arg), 0);
  pthread_barrier_wait(&g_step);  // main deletes the key and creates others
  pthread_barrier_wait(&g_step);
  CHECK(pthread_getspecific(g_key) == NULL);
  CHECK_RC(pthread_setspecific(g_key, arg), 0);
  CHECK(pthread_getspecific(g_key) == arg);
  pthread_barrier_wait(&g_step);  // main deletes it again
  pthread_barrier_wait(&g_step);
  CHECK_RC(pthread_setspecific(g_key, arg), EINVAL);
  CHECK(pthread_getspecific(g_key) == NULL);
  return NULL;
}

int main(void) {
  enum { kThreads = 20 };
  CHECK_RC(pthread_barrier_init(&g_step, NULL, kThreads + 1), 0);
  CHECK_RC(pthread_key_create(&g_key, on_end), 0);
  pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; ++i) threads[i] = start_thread(run, (void*)(i + 1));
  pthread_barrier_wait(&g_step);
  pthread_key_t old = g_key;
  CHECK_RC(pthread_key_delete(g_key), 0);
  CHECK_RC(pthread_key_delete(g_key), EINVAL);
  CHECK_RC(pthread_setspecific(g_key, &old), EINVAL);
  CHECK_RC(pthread_key_create(&g_key, on_end), 0);
  CHECK_EQ(g_key, old);  // glibc takes the lowest free number: the very slot that held the values
  pthread_barrier_wait(&g_step);
  pthread_barrier_wait(&g_step);
  CHECK_RC(pthread_key_delete(g_key), 0);
  pthread_barrier_wait(&g_step);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);

  static pthread_key_t keys[PTHREAD_KEYS_MAX + 1];
  int count = 0;
  int rc;
  while ((rc = pthread_key_create(&keys[count], NULL)) == 0) {
    CHECK(pthread_getspecific(keys[count]) == NULL);
    CHECK_RC(pthread_setspecific(keys[count], &keys[count]), 0);
    ++count;
    CHECK(count <= PTHREAD_KEYS_MAX);
  }
  CHECK_RC(rc, EAGAIN);
  CHECK(count >= PTHREAD_KEYS_MAX - 16);  // the C and C++ libraries, and who else is loaded, may hold some
  for (int i = 0; i < count; ++i) CHECK(pthread_getspecific(keys[i]) == &keys[i]);
  for (int i = 0; i < count; ++i) CHECK_RC(pthread_key_delete(keys[i]), 0);
  CHECK_RC(pthread_key_create(&g_key, NULL), 0);
  CHECK(pthread_getspecific(g_key) == NULL);
  CHECK_RC(pthread_setspecific(PTHREAD_KEYS_MAX + 7, &g_key), EINVAL);
  CHECK_RC(pthread_key_delete(PTHREAD_KEYS_MAX + 7), EINVAL);
  return 0;
}
