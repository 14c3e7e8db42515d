// A timed wait's time is up, but its thread hasn't run yet: broadcast, destroy and reuse of the memory are legal then (POSIX,
// pthread_cond_destroy), and nobody writes to it afterwards. (The waiter took itself off the count when it ran.)
#include "../check.h"

static union {
  pthread_cond_t cond;
  unsigned char bytes[sizeof(pthread_cond_t)];
} g_memory;
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;

static void* waiter(void* arg) {
  struct timespec deadline = deadline_after_ms(CLOCK_REALTIME, 5);
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  int r = pthread_cond_timedwait(&g_memory.cond, &g_mutex, &deadline);
  CHECK(r == 0 || r == ETIMEDOUT);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  return arg;
}

static void* destroyer(void* arg) {
  for (long long end = now_ms() + 40; now_ms() < end;) {  // computes, so that the waiter's CPU is taken when its time is up
  }
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  CHECK_RC(pthread_cond_broadcast(&g_memory.cond), 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  CHECK_RC(pthread_cond_destroy(&g_memory.cond), 0);
  memset(&g_memory, 0x55, sizeof g_memory);
  return arg;
}

int main(void) {
  for (int round = 0; round < 5; ++round) {
    CHECK_RC(pthread_cond_init(&g_memory.cond, NULL), 0);
    pthread_t a = start_thread(waiter, NULL), b = start_thread(destroyer, NULL);
    join_thread(b);
    join_thread(a);
    for (size_t i = 0; i < sizeof g_memory; ++i) CHECK_EQ(g_memory.bytes[i], 0x55);
  }
  return 0;
}
