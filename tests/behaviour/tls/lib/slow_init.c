// A library whose constructor blocks: ld.so's lock is held meanwhile. For dlopen_blocking.c.
#include <time.h>

static int g_ready;

int slow_init_ready(void);

__attribute__((constructor)) static void init(void) {
  struct timespec time = {0, 50000000};
  nanosleep(&time, 0);
  g_ready = 1;
}

int slow_init_ready(void) { return g_ready; }
