// dlopen(3): while a library's constructor blocks, with ld.so's lock held, other threads go on; a second dlopen of it
// returns only after the constructor has completed; dlsym and dl_iterate_phdr from other threads work.
#include "open_lib.h"

#include <link.h>
#include <stdatomic.h>

enum { kOpeners = 4, kOthers = 8 };

static atomic_int g_opened;
static atomic_long g_turns;

static void* open_it(void* arg) {
  void* handle = open_lib("slow_init");
  int (*ready)(void);
  *(void**)&ready = find_in_lib(handle, "slow_init_ready");
  CHECK_EQ(ready(), 1);
  atomic_fetch_add(&g_opened, 1);
  return arg;
}

static int count(struct dl_phdr_info* info, size_t size, void* data) {
  (void)info;
  (void)size;
  ++*(int*)data;
  return 0;
}

static void* be_busy(void* arg) {
  do {
    int objects = 0;
    dl_iterate_phdr(count, &objects);
    CHECK(objects > 1);
    CHECK(dlsym(RTLD_DEFAULT, "printf") != NULL);
    atomic_fetch_add(&g_turns, 1);
    usleep(100);
  } while (atomic_load(&g_opened) < kOpeners);
  return arg;
}

int main(void) {
  pthread_t openers[kOpeners];
  pthread_t others[kOthers];
  for (int i = 0; i < kOthers; ++i) others[i] = start_thread(be_busy, NULL);
  for (int i = 0; i < kOpeners; ++i) openers[i] = start_thread(open_it, NULL);
  for (int i = 0; i < kOpeners; ++i) join_thread(openers[i]);
  for (int i = 0; i < kOthers; ++i) join_thread(others[i]);
  CHECK(atomic_load(&g_turns) >= kOthers);
  return 0;
}
