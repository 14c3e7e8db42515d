// dlmopen(3) of libc into a namespace of its own, from main and from a worker, beside others: its functions work on the thread that opened it, its
// errno is another, and the threads that its own pthread_create makes run and are joined by its own pthread_join.
#include "../check.h"

#include <dlfcn.h>

static int g_stop;

static void* live(void* arg) {
  while (!__atomic_load_n(&g_stop, __ATOMIC_RELAXED)) sleep_ms(1);
  return arg;
}

typedef struct {
  int (*create)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  int (*join)(pthread_t, void**);
  int (*close)(int);
  int* (*error)(void);
  void* (*malloc)(size_t);
  void (*free)(void*);
  int (*usleep)(unsigned);
} Libc;

static void* other_body(void* arg) {
  Libc* libc = arg;
  libc->free(libc->malloc(1000));
  libc->usleep(1000);
  return (void*)(long)(libc->close(-1) == -1 && *libc->error() == EBADF);
}

static void* open_it(void* arg) {
  void* handle = dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW);
  if (!handle) check_fail(__FILE__, __LINE__, errno, "dlmopen: %s", dlerror());
  Libc libc;
  *(void**)&libc.create = dlsym(handle, "pthread_create");
  *(void**)&libc.join = dlsym(handle, "pthread_join");
  *(void**)&libc.close = dlsym(handle, "close");
  *(void**)&libc.error = dlsym(handle, "__errno_location");
  *(void**)&libc.malloc = dlsym(handle, "malloc");
  *(void**)&libc.free = dlsym(handle, "free");
  *(void**)&libc.usleep = dlsym(handle, "usleep");
  CHECK(*(void**)&libc.create != dlsym(RTLD_DEFAULT, "pthread_create"));
  for (int i = 0; i < 3; ++i) {
    errno = ENOTTY;
    CHECK(libc.close(-1) == -1 && *libc.error() == EBADF);
    CHECK_EQ(errno, ENOTTY);
    libc.free(libc.malloc(1 << 20));
    CHECK_EQ(libc.usleep(500), 0);
    pthread_t thread;
    void* result = NULL;
    CHECK_EQ(libc.create(&thread, NULL, other_body, &libc), 0);
    CHECK_EQ(libc.join(thread, &result), 0);
    CHECK_EQ((long)result, 1);
    sleep_ms(1);
  }
  return arg;
}

int main(void) {
  pthread_t others[5];
  for (int i = 0; i < 5; ++i) others[i] = start_thread(live, NULL);
  for (int i = 0; i < 3; ++i) {
    if (i % 2) open_it(NULL);
    else join_thread(start_thread(open_it, NULL));
  }
  __atomic_store_n(&g_stop, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < 5; ++i) join_thread(others[i]);
  return 0;
}
