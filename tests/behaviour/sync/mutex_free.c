// pthread_mutex_destroy(3), POSIX's example: the thread that drops the last reference under the mutex may destroy the
// mutex and reuse its memory as soon as it has unlocked it; unlock by another must not write to it after its wake-up.
#include "../check.h"

#include <stdatomic.h>

enum { kThreads = 4, kRounds = 2000, kObjects = 8, kPattern = 0xa5 };

typedef struct {
  pthread_mutex_t mutex;
  int references;
  char padding[64];
} Object;

static Object g_objects[kObjects];
static pthread_barrier_t g_barrier;

static void check_untouched(const Object* object) {
  const unsigned char* bytes = (const unsigned char*)object;
  for (size_t i = 0; i < sizeof *object; ++i) CHECK_EQ(bytes[i], kPattern);
}

static void* run(void* arg) {
  for (int round = 0; round < kRounds; ++round) {
    Object* object = &g_objects[round % kObjects];
    if (arg == NULL) {
      if (round >= kObjects) check_untouched(object);
      CHECK_RC(pthread_mutex_init(&object->mutex, NULL), 0);
      object->references = kThreads;
    }
    pthread_barrier_wait(&g_barrier);
    CHECK_RC(pthread_mutex_lock(&object->mutex), 0);
    int last = --object->references == 0;
    CHECK_RC(pthread_mutex_unlock(&object->mutex), 0);
    if (last) {
      CHECK_RC(pthread_mutex_destroy(&object->mutex), 0);
      memset(object, kPattern, sizeof *object);
    }
    // The next round's barrier comes after the memset; the check comes kObjects rounds later.
    pthread_barrier_wait(&g_barrier);
  }
  return NULL;
}

int main(void) {
  CHECK_RC(pthread_barrier_init(&g_barrier, NULL, kThreads), 0);
  pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; ++i) threads[i] = start_thread(run, (void*)i);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  for (int i = 0; i < kObjects; ++i) check_untouched(&g_objects[i]);
  return 0;
}
