// dlopen(3) of a library whose constructor waits for another thread: ld.so's lock is held over a park. Others that want that lock (dlsym,
// a second dlopen) wait in libc, more of them than there are CPUs; those that don't go on, and one of them ends the wait at last.
#include "../tls/open_lib.h"

#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>

enum { kWanting = 12, kOthers = 4, kTurns = 50 };

static int g_to[2], g_from[2];
static atomic_int g_got, g_others;
static cpu_set_t g_set;

static void* open_it(void* arg) {
  void* handle = open_lib("waiting_init");
  int (*ready)(void);
  *(void**)&ready = find_in_lib(handle, "waiting_init_ready");
  CHECK_EQ(ready(), 1);
  return arg;
}

static void* want(void* arg) {
  if ((long)arg % 2) {
    open_it(NULL);
  } else {
    void* p = dlsym(RTLD_DEFAULT, "printf");
    CHECK(p != NULL);
  }
  atomic_fetch_add(&g_got, 1);
  return arg;
}

static void* other(void* arg) {
  for (int i = 0; i < kTurns; ++i) {
    free(malloc(100 + (size_t)i));
    CHECK(fcntl(g_to[0], F_GETFD) >= 0);  // and calls that nobody has made before
    CHECK_OK(fcntl(dup(g_to[0]), F_SETFL, O_NONBLOCK));
    if (i == 0) sched_getaffinity(getpid(), sizeof g_set, &g_set);
    usleep(500);
  }
  if (atomic_fetch_add(&g_others, 1) == kOthers - 1) {  // the last of them lets the constructor go on
    CHECK_EQ(atomic_load(&g_got), 0);
    CHECK_EQ(write(g_from[1], "x", 1), 1);
  }
  return arg;
}

int main(void) {
  CHECK_OK(pipe(g_to));
  CHECK_OK(pipe(g_from));
  char number[16];
  snprintf(number, sizeof number, "%d", g_to[1]);
  CHECK_OK(setenv("WAITING_INIT_TO", number, 1));
  snprintf(number, sizeof number, "%d", g_from[0]);
  CHECK_OK(setenv("WAITING_INIT_FROM", number, 1));
  pthread_t opener = start_thread(open_it, NULL), wanting[kWanting], others[kOthers];
  char byte;
  CHECK_EQ(read(g_to[0], &byte, 1), 1);  // the constructor waits from here on
  for (long i = 0; i < kWanting; ++i) wanting[i] = start_thread(want, (void*)i);
  for (int i = 0; i < kOthers; ++i) others[i] = start_thread(other, NULL);
  join_thread(opener);
  for (int i = 0; i < kWanting; ++i) join_thread(wanting[i]);
  for (int i = 0; i < kOthers; ++i) join_thread(others[i]);
  CHECK_EQ(atomic_load(&g_got), kWanting);
  return 0;
}
