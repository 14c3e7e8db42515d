// flockfile(3) held across blocking calls: others that use the stream wait, others that use other streams go on; recursion, trylock, and a
// holder that is joined by one who uses another stream.
#include "../check.h"

#include <semaphore.h>
#include <stdatomic.h>

enum { kUsers = 8, kOthers = 4, kRounds = 40 };

static FILE *g_shared, *g_other;
static atomic_int g_inside, g_lines, g_others_done;
static sem_t g_ping, g_pong;

static void* partner(void* arg) {
  for (int i = 0; i < kUsers * kRounds; ++i) {
    CHECK_OK(sem_wait(&g_ping));
    CHECK_OK(sem_post(&g_pong));
  }
  return arg;
}

static void* user(void* arg) {
  for (int i = 0; i < kRounds; ++i) {
    flockfile(g_shared);
    CHECK_EQ(atomic_fetch_add(&g_inside, 1), 0);
    flockfile(g_shared);
    CHECK(fprintf(g_shared, "%ld", (long)arg) > 0);
    CHECK_OK(sem_post(&g_ping));  // parks with the lock held
    CHECK_OK(sem_wait(&g_pong));
    if (i % 8 == 0) usleep(500);
    CHECK_EQ(putc('\n', g_shared), '\n');
    atomic_fetch_add(&g_lines, 1);
    funlockfile(g_shared);
    atomic_fetch_sub(&g_inside, 1);
    funlockfile(g_shared);
    if (i % 4 == 0 && ftrylockfile(g_shared) == 0) funlockfile(g_shared);
  }
  return arg;
}

static void* other(void* arg) {
  for (int i = 0; i < kRounds * 4; ++i) {
    CHECK(fprintf(g_other, "other %ld %d\n", (long)arg, i) > 0);
    if (i % 16 == 0) CHECK_EQ(fflush(g_other), 0);
    if (i % 8 == 0) usleep(200);
  }
  atomic_fetch_add(&g_others_done, 1);
  return arg;
}

static void* hold_till_others_end(void* arg) {
  flockfile(g_shared);
  long long end = now_ms() + 30000;
  while (atomic_load(&g_others_done) < kOthers) {
    CHECK(now_ms() < end);
    usleep(1000);
  }
  funlockfile(g_shared);
  return arg;
}

int main(void) {
  CHECK_OK(sem_init(&g_ping, 0, 0));
  CHECK_OK(sem_init(&g_pong, 0, 0));
  g_shared = tmpfile();
  g_other = tmpfile();
  CHECK(g_shared && g_other);
  pthread_t holder = start_thread(hold_till_others_end, NULL);
  usleep(1000);
  pthread_t users[kUsers], others[kOthers], p = start_thread(partner, NULL);
  for (long i = 0; i < kUsers; ++i) users[i] = start_thread(user, (void*)i);
  for (long i = 0; i < kOthers; ++i) others[i] = start_thread(other, (void*)i);
  for (int i = 0; i < kOthers; ++i) join_thread(others[i]);
  join_thread(holder);
  for (int i = 0; i < kUsers; ++i) join_thread(users[i]);
  join_thread(p);
  CHECK_EQ(atomic_load(&g_lines), kUsers * kRounds);
  rewind(g_shared);
  int lines = 0;
  for (char text[64]; fgets(text, sizeof text, g_shared); ++lines) CHECK(strlen(text) == 2);  // no two lines mixed
  CHECK_EQ(lines, kUsers * kRounds);
  return 0;
}
