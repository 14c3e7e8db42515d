// pthread_create(3) from threads: a tree of threads in which each creates two and joins them, and a chain in which each
// thread creates the next, detached, and ends at once.
#include "../check.h"

#include <semaphore.h>
#include <stdint.h>

enum { kDepth = 9, kChain = 2000 };

static sem_t g_chain_done;
static pthread_attr_t g_detached;

static void* tree(void* arg) {
  uintptr_t depth = (uintptr_t)arg;
  if (depth == 0) return (void*)1;
  pthread_t left = start_thread_with_stack(128 * 1024, tree, (void*)(depth - 1));
  pthread_t right = start_thread_with_stack(128 * 1024, tree, (void*)(depth - 1));
  uintptr_t sum = 1;
  sum += (uintptr_t)join_thread(left);
  sum += (uintptr_t)join_thread(right);
  return (void*)sum;
}

static void* chain(void* arg) {
  uintptr_t left = (uintptr_t)arg;
  if (left == 0) {
    CHECK_OK(sem_post(&g_chain_done));
    return NULL;
  }
  pthread_t next;
  CHECK_RC(pthread_create(&next, &g_detached, chain, (void*)(left - 1)), 0);
  return NULL;
}

int main(void) {
  CHECK_EQ((uintptr_t)join_thread(start_thread(tree, (void*)kDepth)), (2u << kDepth) - 1);
  CHECK_OK(sem_init(&g_chain_done, 0, 0));
  CHECK_RC(pthread_attr_init(&g_detached), 0);
  CHECK_RC(pthread_attr_setdetachstate(&g_detached, PTHREAD_CREATE_DETACHED), 0);
  CHECK_RC(pthread_attr_setstacksize(&g_detached, 128 * 1024), 0);
  start_thread(chain, (void*)kChain);
  CHECK_OK(sem_wait(&g_chain_done));
  return 0;
}
