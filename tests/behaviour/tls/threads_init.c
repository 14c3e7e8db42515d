// A library whose constructor creates threads and waits for them: opened by main, by a worker, beside others that live; closed and opened again;
// preloaded, so that its constructor runs before main, also with LD_BIND_NOW=1. And what is preloaded isn't unloaded by dlclose.
#include "open_lib.h"

static int g_stop;

static void* open_it(void* arg) {
  void* handle = open_lib("threads_init");
  int (*good)(void);
  *(void**)&good = find_in_lib(handle, "threads_init_good");
  CHECK_EQ(good(), 8);
  CHECK_EQ(dlclose(handle), 0);
  return arg;
}

static void* live(void* arg) {
  while (!__atomic_load_n(&g_stop, __ATOMIC_RELAXED)) sleep_ms(1);
  return arg;
}

static void* identity(void* arg) { return arg; }

int main(int argc, char** argv) {
  if (argc > 1) {  // preloaded
    int (*good)(void);
    *(void**)&good = dlsym(RTLD_DEFAULT, "threads_init_good");
    CHECK(good != NULL);
    CHECK_EQ(good(), 8);
    join_thread(start_thread(open_it, NULL));
    return 23;
  }
  open_it(NULL);
  pthread_t others[5];
  for (int i = 0; i < 5; ++i) others[i] = start_thread(live, NULL);
  for (int i = 0; i < 10; ++i) {
    open_it(NULL);
    join_thread(start_thread(open_it, NULL));
  }
  for (int how = 0; how < 3; ++how) {
    fflush(NULL);
    pid_t pid = fork();
    CHECK_OK(pid);
    if (pid == 0) {
      char path[4096], list[2 * 4096];
      CHECK(realpath("/proc/self/exe", path) != NULL);
      strcpy(strrchr(path, '/') + 1, "libthreads_init.so");
      const char* before = getenv("LD_PRELOAD");
      if (how == 2) snprintf(list, sizeof list, "%s:%s", path, before ? before : "");  // the first in the list has its constructor run last
      else snprintf(list, sizeof list, "%s:%s", before ? before : "", path);
      setenv("LD_PRELOAD", list, 1);
      if (how == 1) setenv("LD_BIND_NOW", "1", 1);
      execl("/proc/self/exe", argv[0], "preloaded", (char*)NULL);
      _exit(1);
    }
    CHECK_CHILD_EXITS(pid, 23);
  }
  // Each that is preloaded stays, whatever is closed.
  char* list = getenv("LD_PRELOAD");
  for (char* name = list ? strtok(strdup(list), ": ") : NULL; name; name = strtok(NULL, ": "))
    for (int i = 0; i < 3; ++i) {
      void* handle = dlopen(name, RTLD_NOW);
      CHECK(handle != NULL);
      dlclose(handle);
      if (i) dlclose(handle);
      CHECK_EQ((long)join_thread(start_thread(identity, (void*)4)), 4);
    }
  __atomic_store_n(&g_stop, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < 5; ++i) join_thread(others[i]);
  return 0;
}
