// pthread_barrier_destroy(3): may be called, and the memory reused, by a thread whose wait has returned, while others
// are still on their way out of the same wait.
#include "../check.h"

enum { kThreads = 6, kRounds = 1000, kSlots = 4, kPattern = 0xa5 };

typedef union {
  pthread_barrier_t barrier;
  unsigned char bytes[sizeof(pthread_barrier_t)];
} Slot;

static Slot g_slots[kSlots];
static pthread_barrier_t g_outer;

static void* run(void* arg) {
  for (int round = 0; round < kRounds; ++round) {
    Slot* slot = &g_slots[round % kSlots];
    int rc = pthread_barrier_wait(&g_outer);  // the slot is ready
    CHECK(rc == 0 || rc == PTHREAD_BARRIER_SERIAL_THREAD);
    rc = pthread_barrier_wait(&slot->barrier);
    CHECK(rc == 0 || rc == PTHREAD_BARRIER_SERIAL_THREAD);
    if (rc == PTHREAD_BARRIER_SERIAL_THREAD) {
      CHECK_RC(pthread_barrier_destroy(&slot->barrier), 0);
      memset(slot, kPattern, sizeof *slot);
      // The slot after the next, which was used kSlots - 2 rounds ago, must still be as it was left.
      Slot* next = &g_slots[(round + 2) % kSlots];
      if (round >= 2)
        for (size_t i = 0; i < sizeof next->bytes; ++i) CHECK_EQ(next->bytes[i], kPattern);
      CHECK_RC(pthread_barrier_init(&next->barrier, NULL, kThreads), 0);
    }
  }
  return arg;
}

int main(void) {
  CHECK_RC(pthread_barrier_init(&g_outer, NULL, kThreads), 0);
  for (int i = 0; i < 2; ++i) CHECK_RC(pthread_barrier_init(&g_slots[i].barrier, NULL, kThreads), 0);
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(run, NULL);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  return 0;
}
