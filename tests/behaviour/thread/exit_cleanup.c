// pthread_exit(3), pthread_cleanup_push(3): handlers of all frames run last-in first-out, before the TSD destructors,
// pop(0) removes without running, pop(1) runs; a handler may block.
#include "../check.h"

#include <semaphore.h>

static char g_trace[64];
static int g_used;
static sem_t g_sem;
static pthread_key_t g_key;

static void note(void* arg) {
  g_trace[g_used++] = *(const char*)arg;
  g_trace[g_used] = '\0';
}

static void note_after_park(void* arg) {
  CHECK_OK(sem_post(&g_sem));
  CHECK_OK(sem_wait(&g_sem));
  sleep_ms(1);
  note(arg);
}

static void innermost(int depth);
static void (*volatile g_innermost)(int) = innermost;  // so that gcc doesn't call this an infinite recursion

static void innermost(int depth) {
  if (depth > 0) {
    pthread_cleanup_push(note, "r");
    g_innermost(depth - 1);
    pthread_cleanup_pop(0);
    return;
  }
  pthread_cleanup_push(note, "x");
  pthread_cleanup_pop(0);
  pthread_cleanup_push(note, "1");
  pthread_cleanup_pop(1);
  pthread_cleanup_push(note_after_park, "c");
  sleep_ms(1);
  pthread_exit((void*)42);
  pthread_cleanup_pop(0);
}

static void* run_nested(void* arg) {
  CHECK_RC(pthread_setspecific(g_key, "k"), 0);
  pthread_cleanup_push(note, "a");
  pthread_cleanup_push(note, "b");
  innermost(3);
  pthread_cleanup_pop(0);
  pthread_cleanup_pop(0);
  return arg;
}

static void* run_return(void* arg) {
  pthread_cleanup_push(note, "a");
  pthread_cleanup_pop(0);
  return arg;
}

int main(void) {
  CHECK_OK(sem_init(&g_sem, 0, 0));
  CHECK_RC(pthread_key_create(&g_key, note), 0);
  for (int round = 0; round < 50; ++round) {
    g_used = 0;
    CHECK_EQ((long)join_thread(start_thread(run_nested, NULL)), 42);
    CHECK_STR(g_trace, "1crrrbak");
  }
  g_used = 0;
  g_trace[0] = '\0';
  CHECK_EQ((long)join_thread(start_thread(run_return, (void*)44)), 44);
  CHECK_STR(g_trace, "");
  return 0;
}
