// A thread computes without ever calling anything until others, whose reads and sleeps finish meanwhile, have had their turn.
#include "../check.h"

#include <stdatomic.h>
#include <unistd.h>

static int g_pipe[2];
static atomic_int g_ready, g_done, g_stop;

static void* hog(void* arg) {
  atomic_fetch_add(&g_ready, 1);
  while (!atomic_load(&g_stop)) {
  }
  return arg;
}

static void* reader(void* arg) {
  char c;
  atomic_fetch_add(&g_ready, 1);
  for (int i = 0; i < 20; ++i) CHECK_EQ(read(g_pipe[0], &c, 1), 1);
  atomic_fetch_add(&g_done, 1);
  return arg;
}

static void* sleeper(void* arg) {
  atomic_fetch_add(&g_ready, 1);
  for (int i = 0; i < 5; ++i) sleep_ms(1);
  atomic_fetch_add(&g_done, 1);
  return arg;
}

int main(void) {
  CHECK_OK(pipe(g_pipe));
  pthread_t threads[9];
  for (int i = 0; i < 4; ++i) threads[i] = start_thread(reader, NULL);
  for (int i = 4; i < 8; ++i) threads[i] = start_thread(sleeper, NULL);
  sleep_ms(3);  // most of them wait by now, on the carrier that the hog will take; nothing depends on it
  threads[8] = start_thread(hog, NULL);
  while (atomic_load(&g_ready) < 9) sleep_ms(1);
  for (int i = 0; i < 80; ++i) {
    CHECK_EQ(write(g_pipe[1], "x", 1), 1);
    if (i % 10 == 0) sleep_ms(1);
  }
  while (atomic_load(&g_done) < 8) sleep_ms(1);
  atomic_store(&g_stop, 1);
  for (int i = 0; i < 9; ++i) join_thread(threads[i]);
  return 0;
}
