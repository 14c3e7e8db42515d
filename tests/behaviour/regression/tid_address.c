// set_tid_address(2) on threads: it returns the thread's id, and taking the address away for a while, as stress-ng does, harms nobody.
#include "../check.h"

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void* body(void* arg) {
  (void)arg;
  void* address = NULL;
  CHECK_OK(prctl(PR_GET_TID_ADDRESS, &address));
  CHECK_EQ(syscall(SYS_set_tid_address, NULL), gettid());
  sched_yield();
  CHECK_EQ(syscall(SYS_set_tid_address, address), gettid());
  return NULL;
}

int main(void) {
  for (int round = 0; round < 100; ++round) {
    pthread_t threads[8];
    for (int i = 0; i < 8; ++i) threads[i] = start_thread(body, NULL);
    for (int i = 0; i < 8; ++i) join_thread(threads[i]);
  }
  return 0;
}
