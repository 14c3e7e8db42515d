// pthread_create(3), pthread_join(3): arguments and results arrive, whether the thread ends before or after the join,
// in any order of joins, and when the joiner is not the creator.
#include "../check.h"

#include <semaphore.h>
#include <stdint.h>

enum { kThreads = 64 };

static void* triple(void* arg) { return (void*)((uintptr_t)arg * 3); }

static void* exit_with(void* arg) { pthread_exit(arg); }

static sem_t g_gate;

static void* wait_then_return(void* arg) {
  CHECK_OK(sem_wait(&g_gate));
  return arg;
}

static void* join_other(void* arg) { return join_thread(*(pthread_t*)arg); }

int main(void) {
  pthread_t threads[kThreads];
  for (uintptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(triple, (void*)i);
  for (uintptr_t i = kThreads; i-- > 0;) CHECK_EQ((uintptr_t)join_thread(threads[i]), i * 3);

  // The result is optional, and may be any pointer value but PTHREAD_CANCELED's meaning.
  CHECK_RC(pthread_join(start_thread(triple, NULL), NULL), 0);
  CHECK_EQ((intptr_t)join_thread(start_thread(exit_with, (void*)INTPTR_MIN)), INTPTR_MIN);
  CHECK(join_thread(start_thread(exit_with, NULL)) == NULL);

  // Ended long before the join.
  pthread_t early = start_thread(triple, (void*)7);
  sleep_ms(10);
  CHECK_EQ((uintptr_t)join_thread(early), 21);

  // The join waits for the thread; and any thread may join any other.
  CHECK_OK(sem_init(&g_gate, 0, 0));
  pthread_t blocked[kThreads];
  pthread_t joiners[kThreads];
  for (uintptr_t i = 0; i < kThreads; ++i) blocked[i] = start_thread(wait_then_return, (void*)(i + 1));
  for (int i = 0; i < kThreads; ++i) joiners[i] = start_thread(join_other, &blocked[i]);
  for (int i = 0; i < kThreads; ++i) CHECK_OK(sem_post(&g_gate));
  for (uintptr_t i = 0; i < kThreads; ++i) CHECK_EQ((uintptr_t)join_thread(joiners[i]), i + 1);
  return 0;
}
