// A thread is cancelled in the moment in which its call on a kernel's queue ends: whoever waits in semop(2) or msgrcv(2) then, calls that no
// SA_RESTART begins again, is not interrupted by that. pthread_cancel(3), signal(7).
#include "../check.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

enum { kRounds = 1500, kWaiters = 4 };

static int g_queue, g_set;

static void add(unsigned short which, short n) {
  struct sembuf one = {which, n, 0};
  CHECK_EQ(semop(g_set, &one, 1), 0);  // EINTR: somebody else's cancellation
}

static void* victim(void* arg) {
  struct {
    long type;
    char text;
  } m;
  add(0, 1);
  msgrcv(g_queue, &m, 1, 0, 0);
  return arg;
}

static void* waiter(void* arg) {
  add(1, -1);
  return arg;
}

int main(void) {
  struct {
    long type;
    char text;
  } m = {1, 'x'};
  CHECK((g_queue = msgget(IPC_PRIVATE, 0600)) >= 0);
  CHECK((g_set = semget(IPC_PRIVATE, 2, 0600)) >= 0);
  for (int i = 0; i < kRounds; ++i) {
    pthread_t v = start_thread(victim, NULL), waiters[kWaiters];
    add(0, -1);
    for (volatile int k = 0; k < i % 64 * 1000; ++k) {  // so that it is at different points of its call
    }
    bool ends = i % 3;  // by itself, or else by the cancellation
    if (ends) CHECK_EQ(msgsnd(g_queue, &m, 1, 0), 0);
    CHECK_RC(pthread_cancel(v), 0);
    for (int k = 0; k < kWaiters; ++k) waiters[k] = start_thread(waiter, NULL);
    void* result;
    CHECK_RC(pthread_join(v, &result), 0);
    CHECK(ends || result == PTHREAD_CANCELED);
    add(1, kWaiters);
    for (int k = 0; k < kWaiters; ++k) join_thread(waiters[k]);
    while (msgrcv(g_queue, &m, 1, 0, IPC_NOWAIT) == 1) {  // that he didn't take
    }
    CHECK_EQ(errno, ENOMSG);
  }
  CHECK_EQ(msgctl(g_queue, IPC_RMID, NULL), 0);
  CHECK_EQ(semctl(g_set, 0, IPC_RMID), 0);
  return 0;
}
