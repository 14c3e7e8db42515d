// A library whose constructor waits for another thread, with ld.so's lock held. For dlopen_waits.c, which leaves two descriptors in the
// environment: one to say that it waits, one to wait on.
#include <stdlib.h>
#include <unistd.h>

static int g_ready;

int waiting_init_ready(void);

__attribute__((constructor)) static void init(void) {
  const char *to = getenv("WAITING_INIT_TO"), *from = getenv("WAITING_INIT_FROM");
  if (!to || !from) return;
  char byte = 'x';
  if (write(atoi(to), &byte, 1) != 1) abort();
  if (read(atoi(from), &byte, 1) != 1) abort();
  g_ready = 1;
}

int waiting_init_ready(void) { return g_ready; }
