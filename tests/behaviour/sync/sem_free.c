// sem_destroy(3), POSIX: as soon as sem_wait returns, the waiter may destroy the semaphore and reuse or unmap its
// memory although the poster hasn't returned from sem_post: post mustn't touch it after the wake-up. 20,000 rounds.
#include "../check.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { kRounds = 20000, kHistory = 16, kPattern = 0xa5 };

typedef union {
  sem_t sem;
  unsigned char bytes[sizeof(sem_t)];
} Slot;

static _Atomic(sem_t*) g_request;
static sem_t g_requested;
static int g_end;

static void* post(void* arg) {
  for (;;) {
    CHECK_OK(sem_wait(&g_requested));
    if (g_end) return arg;
    CHECK_OK(sem_post(atomic_exchange(&g_request, NULL)));
  }
}

static void request(sem_t* sem) {
  atomic_store(&g_request, sem);
  CHECK_OK(sem_post(&g_requested));
}

static void* wait_and_free(void* arg) {
  static Slot slots[kHistory];
  memset(slots, kPattern, sizeof slots);
  for (int i = 0; i < kRounds; ++i) {
    if (i % 8 == 7) {  // in memory that is gone after the wait
      sem_t* sem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      CHECK(sem != MAP_FAILED);
      CHECK_OK(sem_init(sem, 0, 0));
      request(sem);
      CHECK_OK(sem_wait(sem));
      CHECK_OK(munmap(sem, 4096));
      continue;
    }
    // In memory that is overwritten after the wait, and looked at again some rounds later.
    Slot* slot = &slots[i % kHistory];
    for (size_t n = 0; n < sizeof slot->bytes; ++n) CHECK_EQ(slot->bytes[n], kPattern);
    CHECK_OK(sem_init(&slot->sem, 0, 0));
    request(&slot->sem);
    CHECK_OK(sem_wait(&slot->sem));
    CHECK_OK(sem_destroy(&slot->sem));
    memset(slot, kPattern, sizeof *slot);
  }
  return arg;
}

int main(void) {
  CHECK_OK(sem_init(&g_requested, 0, 0));
  pthread_t poster = start_thread(post, NULL);
  join_thread(start_thread(wait_and_free, NULL));
  g_end = 1;
  CHECK_OK(sem_post(&g_requested));
  join_thread(poster);
  return 0;
}
