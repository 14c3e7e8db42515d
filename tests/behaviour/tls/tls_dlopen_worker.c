// dlopen(3) from a worker of a library with static TLS while other threads run, park, are created and end: each thread
// sees the initial image from the moment the library is open.
#include "open_lib.h"

#include <sched.h>
#include <stdatomic.h>

enum { kThreads = 20, kBatches = 100 };

static _Atomic(void*) g_value;

static int* value(void) {
  int* (*function)(void);
  *(void**)&function = atomic_load(&g_value);
  return function();
}

static void* live(void* arg) {
  while (atomic_load(&g_value) == NULL) sched_yield();
  CHECK_EQ(*value(), 0x5eed);
  *value() = 1;
  sched_yield();
  CHECK_EQ(*value(), 1);
  return arg;
}

static void* be_brief(void* arg) {
  if (atomic_load(&g_value) != NULL) {
    CHECK_EQ(*value(), 0x5eed);
    *value() = 2;
  }
  usleep(1);
  if (atomic_load(&g_value) != NULL) CHECK(*value() == 2 || *value() == 0x5eed);
  return arg;
}

static void* create_often(void* arg) {
  for (int after = 0; after < kBatches; after += atomic_load(&g_value) != NULL) {
    pthread_t threads[kThreads];
    for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(be_brief, NULL);
    for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  }
  return arg;
}

static void* open_it(void* arg) {
  sleep_ms(20);
  void* handle = open_lib("tls_static_image");
  atomic_store(&g_value, find_in_lib(handle, "tls_value"));
  CHECK_EQ(*value(), 0x5eed);
  return arg;
}

int main(void) {
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(live, NULL);
  pthread_t creator = start_thread(create_often, NULL);
  join_thread(start_thread(open_it, NULL));
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  join_thread(creator);
  CHECK_EQ(*value(), 0x5eed);
  return 0;
}
