// A library like a GL driver: it has a thread of its own, which must stay where it is.
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static long os_tid(void) {
  long r;
  __asm__ volatile("syscall" : "=a"(r) : "a"(186L) : "rcx", "r11", "memory");
  return r;
}

static void* run(void* arg) {
  long first = os_tid(), moves = 0;
  for (int i = 0; i < 100; ++i) {
    struct timespec t = {0, 200000};
    nanosleep(&t, NULL);
    moves += os_tid() != first;
  }
  atomic_fetch_add((_Atomic long*)arg, moves);
  return NULL;
}

int start_affine(pthread_t* thread, _Atomic long* moves) { return pthread_create(thread, NULL, run, moves); }
