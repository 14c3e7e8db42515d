// pthread_setname_np(3), pthread_getname_np: each thread has its own name of up to 15 characters, inherited from its
// creator, readable by others while it blocks; ERANGE for a longer name or a small buffer.
#include "../check.h"

#include <semaphore.h>
#include <sys/prctl.h>

enum { kThreads = 20 };

static sem_t g_gate;
static pthread_barrier_t g_named;

static void* run(void* arg) {
  char name[16];
  char want[32];
  CHECK_RC(pthread_getname_np(pthread_self(), name, sizeof name), 0);
  CHECK_STR(name, "the-parent");
  snprintf(want, sizeof want, "worker-%ld", (long)arg);
  CHECK_RC(pthread_setname_np(pthread_self(), want), 0);
  pthread_barrier_wait(&g_named);
  CHECK_OK(sem_wait(&g_gate));
  CHECK_RC(pthread_getname_np(pthread_self(), name, sizeof name), 0);
  if ((long)arg == 0)
    CHECK_STR(name, "from-outside");
  else
    CHECK_STR(name, want);
  return NULL;
}

static void* tell_name(void* name) {
  CHECK_RC(pthread_getname_np(pthread_self(), name, 16), 0);
  return NULL;
}
static void inherits(const char* name) {
  char got[16];
  join_thread(start_thread(tell_name, got));
  CHECK_STR(got, name);
}
static void* rename_it(void* thread) {
  CHECK_RC(pthread_setname_np(*(pthread_t*)thread, "by-another"), 0);
  return NULL;
}

int main(void) {
  CHECK_OK(sem_init(&g_gate, 0, 0));
  CHECK_RC(pthread_barrier_init(&g_named, NULL, kThreads + 1), 0);
  char name[16];
  CHECK_RC(pthread_setname_np(pthread_self(), "the-parent"), 0);
  CHECK_RC(pthread_getname_np(pthread_self(), name, sizeof name), 0);
  CHECK_STR(name, "the-parent");
  CHECK_RC(pthread_setname_np(pthread_self(), "sixteen-is-longer"), ERANGE);
  CHECK_RC(pthread_getname_np(pthread_self(), name, 15), ERANGE);

  pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; ++i) threads[i] = start_thread(run, (void*)i);
  pthread_barrier_wait(&g_named);
  for (int i = 0; i < kThreads; ++i) {
    char want[32];
    snprintf(want, sizeof want, "worker-%d", i);
    CHECK_RC(pthread_getname_np(threads[i], name, sizeof name), 0);
    CHECK_STR(name, want);
  }
  CHECK_RC(pthread_setname_np(threads[0], "from-outside"), 0);
  CHECK_RC(pthread_getname_np(threads[0], name, sizeof name), 0);
  CHECK_STR(name, "from-outside");
  for (int i = 0; i < kThreads; ++i) CHECK_OK(sem_post(&g_gate));
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_RC(pthread_getname_np(pthread_self(), name, sizeof name), 0);
  CHECK_STR(name, "the-parent");

  // A later thread has the name of that moment, however it came.
  inherits("the-parent");
  CHECK_RC(pthread_setname_np(pthread_self(), "second"), 0);
  inherits("second");
  CHECK_OK(prctl(PR_SET_NAME, "third"));
  inherits("third");
  pthread_t self = pthread_self();
  join_thread(start_thread(rename_it, &self));
  inherits("by-another");
  return 0;
}
