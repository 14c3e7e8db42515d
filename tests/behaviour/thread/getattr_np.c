// pthread_getattr_np(3): the actual stack holds the thread's locals, is as large as was asked for and writable down to
// its lowest address above the guard; guard size and detach state are reported; for the main thread as well.
#include "../check.h"

#include <stdint.h>

typedef struct {
  size_t stack_size;
  size_t guard_size;
} Wanted;

static pthread_barrier_t g_all_alive;

static void check_self(const Wanted* wanted) {
  pthread_attr_t attr;
  CHECK_RC(pthread_getattr_np(pthread_self(), &attr), 0);
  void* low = NULL;
  size_t size = 0;
  size_t guard = 0;
  CHECK_RC(pthread_attr_getstack(&attr, &low, &size), 0);
  CHECK_RC(pthread_attr_getguardsize(&attr, &guard), 0);
  CHECK_RC(pthread_attr_destroy(&attr), 0);
  char local = 0;
  uintptr_t here = (uintptr_t)&local;
  uintptr_t high = (uintptr_t)low + size;
  CHECK(here > (uintptr_t)low);
  CHECK(here < high);
  if (wanted == NULL) return;
  // We are near the top: only the thread area and some frames lie above.
  CHECK(high - here < 64 * 1024);
  CHECK(size >= wanted->stack_size);
  CHECK(size <= wanted->stack_size + wanted->guard_size + 64 * 1024);
  CHECK_EQ(guard, wanted->guard_size);
  // Whether the guard counts as part of the stack is glibc's business: above low + guard it must be memory.
  volatile char* lowest = (volatile char*)low + guard;
  *lowest = 1;
  CHECK_EQ(*lowest, 1);
}

static void* run(void* arg) {
  check_self(arg);
  // All are alive at once, so that no stack is a larger recycled one.
  pthread_barrier_wait(&g_all_alive);
  check_self(arg);
  return NULL;
}

int main(void) {
  static const Wanted kWanted[] = {{256 * 1024, 4096}, {1 << 20, 4096}, {1 << 20, 64 * 1024},
                                   {1 << 20, 0},       {8 << 20, 4096}, {64 << 20, 4096}};
  enum { kCount = sizeof kWanted / sizeof kWanted[0] };
  check_self(NULL);
  pthread_t threads[kCount];
  CHECK_RC(pthread_barrier_init(&g_all_alive, NULL, kCount + 1), 0);
  for (int i = 0; i < kCount; ++i) {
    pthread_attr_t attr;
    CHECK_RC(pthread_attr_init(&attr), 0);
    CHECK_RC(pthread_attr_setstacksize(&attr, kWanted[i].stack_size), 0);
    CHECK_RC(pthread_attr_setguardsize(&attr, kWanted[i].guard_size), 0);
    CHECK_RC(pthread_create(&threads[i], &attr, run, (void*)&kWanted[i]), 0);
    CHECK_RC(pthread_attr_destroy(&attr), 0);
  }
  // From outside, of a live thread.
  for (int i = 0; i < kCount; ++i) {
    pthread_attr_t attr;
    CHECK_RC(pthread_getattr_np(threads[i], &attr), 0);
    size_t size = 0;
    int state = -1;
    CHECK_RC(pthread_attr_getstacksize(&attr, &size), 0);
    CHECK(size >= kWanted[i].stack_size);
    CHECK_RC(pthread_attr_getdetachstate(&attr, &state), 0);
    CHECK_EQ(state, PTHREAD_CREATE_JOINABLE);
    CHECK_RC(pthread_attr_destroy(&attr), 0);
  }
  pthread_barrier_wait(&g_all_alive);
  for (int i = 0; i < kCount; ++i) join_thread(threads[i]);
  check_self(NULL);
  return 0;
}
