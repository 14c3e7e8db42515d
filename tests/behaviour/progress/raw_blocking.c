// Threads that block in bare system calls (read on a pipe, futex, poll, nanosleep) hold up nobody: others, main among them, go on, and
// it is they who end the calls at last. No call ends early, none with EINTR.
#include "raw.h"

#include <linux/futex.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>

enum { kBlockers = 24, kPairs = 8, kTurns = 300 };

static int g_pipes[kBlockers][2];
static atomic_int g_words[kBlockers], g_waiting;
static sem_t g_there[kPairs], g_back[kPairs];

static void* blocker(void* arg) {
  int i = (int)(long)arg;
  char byte;
  atomic_fetch_add(&g_waiting, 1);
  switch (i % 4) {
    case 0: CHECK_EQ(raw_call(SYS_read, g_pipes[i][0], (long)&byte, 1, 0, 0, 0), 1); break;
    case 1: {
      long r;
      while ((r = raw_call(SYS_futex, (long)&g_words[i], FUTEX_WAIT_PRIVATE, 0, 0, 0, 0)) == 0 && !atomic_load(&g_words[i])) {
      }
      CHECK(r == 0 || r == -EAGAIN);
      CHECK_EQ(atomic_load(&g_words[i]), 1);
      break;
    }
    case 2: {
      struct pollfd p = {.fd = g_pipes[i][0], .events = POLLIN};
      CHECK_EQ(raw_call(SYS_poll, (long)&p, 1, -1, 0, 0, 0), 1);
      break;
    }
    case 3: {
      struct timespec t = {0, 60000000};
      long long start = now_ms();
      CHECK_EQ(raw_call(SYS_nanosleep, (long)&t, 0, 0, 0, 0, 0), 0);
      CHECK(now_ms() - start >= 59);
      break;
    }
  }
  return arg;
}

static void* there(void* arg) {
  int i = (int)(long)arg;
  for (int k = 0; k < kTurns; ++k) {
    CHECK_OK(sem_post(&g_there[i]));
    CHECK_OK(sem_wait(&g_back[i]));
    if (k % 50 == 0) usleep(1000);
  }
  return arg;
}
static void* back(void* arg) {
  int i = (int)(long)arg;
  for (int k = 0; k < kTurns; ++k) {
    CHECK_OK(sem_wait(&g_there[i]));
    CHECK_OK(sem_post(&g_back[i]));
  }
  return arg;
}

int main(void) {
  pthread_t blockers[kBlockers], pairs[kPairs][2];
  for (int i = 0; i < kBlockers; ++i) CHECK_OK(pipe(g_pipes[i]));
  for (int i = 0; i < kBlockers; ++i) blockers[i] = start_thread(blocker, (void*)(long)i);
  for (int i = 0; i < kPairs; ++i) {
    CHECK_OK(sem_init(&g_there[i], 0, 0));
    CHECK_OK(sem_init(&g_back[i], 0, 0));
    pairs[i][0] = start_thread(there, (void*)(long)i);
    pairs[i][1] = start_thread(back, (void*)(long)i);
  }
  while (atomic_load(&g_waiting) < kBlockers) usleep(500);
  for (int i = 0; i < kPairs; ++i) {
    join_thread(pairs[i][0]);
    join_thread(pairs[i][1]);
  }
  for (int i = 0; i < kBlockers; ++i) {
    if (i % 4 == 0 || i % 4 == 2) CHECK_EQ(write(g_pipes[i][1], "x", 1), 1);
    if (i % 4 == 1) {
      atomic_store(&g_words[i], 1);
      raw_call(SYS_futex, (long)&g_words[i], FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
    }
  }
  for (int i = 0; i < kBlockers; ++i) join_thread(blockers[i]);
  return 0;
}
