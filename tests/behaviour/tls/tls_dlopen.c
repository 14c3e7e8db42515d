// dlopen(3) of libraries with TLS while 200 threads are blocked: each thread finds the initial image in a copy of its
// own, whether the library's TLS is static or dynamic, and so do threads created later. A dynamic one that is closed
// and opened again starts with its initial image anew.
#include "open_lib.h"

#include <sched.h>
#include <semaphore.h>

enum { kThreads = 200 };

typedef struct {
  int* (*value)(void);
  char* (*text)(void);
  int* (*zero)(void);
  const char* image;
} Lib;

static Lib g_libs[2];
static sem_t g_gate;
static sem_t g_arrived;
static pthread_barrier_t g_step;

static void load(Lib* lib, void* handle, const char* image) {
  *(void**)&lib->value = find_in_lib(handle, "tls_value");
  *(void**)&lib->text = find_in_lib(handle, "tls_text");
  *(void**)&lib->zero = find_in_lib(handle, "tls_zero");
  lib->image = image;
}

static void check_image(const Lib* lib) {
  CHECK_EQ(*lib->value(), 0x5eed);
  CHECK_STR(lib->text(), lib->image);
  CHECK_EQ(*lib->zero(), 0);
}

static void change_and_park(const Lib* lib, int me) {
  int* value = lib->value();
  __asm__ volatile("" : "+r"(value));
  char text[64];
  snprintf(text, sizeof text, "thread %d", me);
  *value = me;
  *lib->zero() = -me;
  strcpy(lib->text(), text);
  for (int i = 0; i < 10; ++i) {
    if (i % 5 == 0)
      usleep(1);
    else
      sched_yield();
    CHECK(lib->value() == value);
    CHECK_EQ(*value, me);
    CHECK_EQ(*lib->zero(), -me);
    CHECK_STR(lib->text(), text);
  }
}

static void* run(void* arg) {
  int me = (int)(long)arg;
  CHECK_OK(sem_post(&g_arrived));
  CHECK_OK(sem_wait(&g_gate));  // main opens the libraries meanwhile
  for (int i = 0; i < 2; ++i) check_image(&g_libs[i]);
  pthread_barrier_wait(&g_step);
  for (int i = 0; i < 2; ++i) change_and_park(&g_libs[i], me);
  pthread_barrier_wait(&g_step);  // main closes and opens the dynamic one
  CHECK_OK(sem_wait(&g_gate));
  check_image(&g_libs[1]);
  CHECK_EQ(*g_libs[0].value(), me);
  change_and_park(&g_libs[1], me);
  return NULL;
}

static void* run_late(void* arg) {
  for (int i = 0; i < 2; ++i) check_image(&g_libs[i]);
  for (int i = 0; i < 2; ++i) change_and_park(&g_libs[i], (int)(long)arg);
  return NULL;
}

int main(void) {
  CHECK_OK(sem_init(&g_gate, 0, 0));
  CHECK_OK(sem_init(&g_arrived, 0, 0));
  CHECK_RC(pthread_barrier_init(&g_step, NULL, kThreads + 1), 0);
  static pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; ++i) threads[i] = start_thread_with_stack(128 * 1024, run, (void*)(i + 1));
  for (int i = 0; i < kThreads; ++i) CHECK_OK(sem_wait(&g_arrived));
  load(&g_libs[0], open_lib("tls_static_image"), "static image");
  void* dynamic = open_lib("tls_dynamic_image");
  load(&g_libs[1], dynamic, "dynamic image");
  for (int i = 0; i < kThreads; ++i) CHECK_OK(sem_post(&g_gate));
  for (int i = 0; i < 2; ++i) check_image(&g_libs[i]);
  pthread_barrier_wait(&g_step);
  pthread_barrier_wait(&g_step);
  CHECK_EQ(dlclose(dynamic), 0);
  dynamic = open_lib("tls_dynamic_image");
  load(&g_libs[1], dynamic, "dynamic image");
  check_image(&g_libs[1]);
  for (int i = 0; i < kThreads; ++i) CHECK_OK(sem_post(&g_gate));
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  // New threads, on recycled stacks: the image again, not what their predecessors left.
  for (int round = 0; round < 3; ++round) {
    for (long i = 0; i < kThreads; ++i) threads[i] = start_thread_with_stack(128 * 1024, run_late, (void*)(i + 1));
    for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  }
  for (int i = 0; i < 2; ++i) check_image(&g_libs[i]);
  return 0;
}
