// pthread_key_create(3): in a new thread all keys have the value NULL, also when stack and thread area of an ended
// thread are used again, and also for keys in the second-level table (beyond the first 32).
#include "../check.h"

#include <stdint.h>

enum { kKeys = 100, kBatches = 50, kThreads = 20 };

static pthread_key_t g_keys[kKeys];
static __thread int g_tls = 17;
static __thread char g_tls_zero[100];

static void* run(void* arg) {
  for (int i = 0; i < kKeys; ++i) CHECK(pthread_getspecific(g_keys[i]) == NULL);
  CHECK_EQ(g_tls, 17);
  for (size_t i = 0; i < sizeof g_tls_zero; ++i) CHECK_EQ(g_tls_zero[i], 0);
  CHECK_EQ(errno, 0);
  for (uintptr_t i = 0; i < kKeys; ++i) CHECK_RC(pthread_setspecific(g_keys[i], (void*)(i + 1)), 0);
  g_tls = (int)(intptr_t)arg;
  memset(g_tls_zero, 0x7f, sizeof g_tls_zero);
  sleep_ms(0);
  for (uintptr_t i = 0; i < kKeys; ++i) CHECK_EQ((uintptr_t)pthread_getspecific(g_keys[i]), i + 1);
  CHECK_EQ(g_tls, (int)(intptr_t)arg);
  errno = 99;
  if ((intptr_t)arg % 2) pthread_exit(NULL);
  return NULL;
}

int main(void) {
  for (int i = 0; i < kKeys; ++i) CHECK_RC(pthread_key_create(&g_keys[i], NULL), 0);
  for (int batch = 0; batch < kBatches; ++batch) {
    pthread_t threads[kThreads];
    for (intptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(run, (void*)i);
    for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  }
  CHECK_EQ(g_tls, 17);
  CHECK(pthread_getspecific(g_keys[0]) == NULL);
  return 0;
}
