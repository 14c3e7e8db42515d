// vtshim_pin: a pinned thread stays on its OS thread, which runs nobody else meanwhile; the others' work and I/O go on. Without
// the shim the functions say 0, and all of it holds anyway.
#include "../check.h"

#include <dlfcn.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sched.h>
#include <sys/socket.h>

#include "../../../shim/vtshim.h"
#include "../progress/raw.h"

enum { kPinned = 5, kOthers = 24, kTids = 1 << 22 };
static atomic_char taken[kTids];  // by OS thread: a pinned thread has it
static atomic_int stop, trespasses, others_ran, wanderers;
static sem_t turn, answer;

static long os_tid(void) { return raw_call(SYS_gettid, 0, 0, 0, 0, 0, 0); }

static void check_alone(void) {
  long before = os_tid();
  int seen = atomic_load(&taken[before]);
  if (seen && os_tid() == before) atomic_fetch_add(&trespasses, 1);
}

static void* other(void* arg) {
  int* pair = arg;
  long at = os_tid();
  for (int i = 0; !atomic_load(&stop); ++i) {
    check_alone();
    if (os_tid() != at) atomic_fetch_add(&wanderers, 1), at = os_tid();
    atomic_fetch_add(&others_ran, 1);
    char c = 'x';
    switch (i % 4) {
      case 0: sched_yield(); break;
      case 1: sleep_ms(1); break;
      case 2: CHECK_EQ(write(pair[1], &c, 1), 1); break;
      case 3: CHECK_EQ(read(pair[0], &c, 1), 1); break;
    }
    if (sem_trywait(&turn) == 0) sem_post(&answer);
  }
  return NULL;
}

static void* pinned(void* arg) {
  (void)arg;
  CHECK_EQ(vtshim_pin(), 0);
  CHECK_EQ(vtshim_pin(), 0);
  long mine = os_tid();
  CHECK_EQ(atomic_exchange(&taken[mine], 1), 0);
  for (int i = 0; i < 60; ++i) {
    switch (i % 5) {
      case 0: sleep_ms(2); break;
      case 1: sched_yield(); break;
      case 2:  // needs somebody else to run
        sem_post(&turn);
        while (sem_wait(&answer)) {}
        break;
      case 3:
        if (i % 20 == 3) CHECK_EQ(system("exit 0"), 0);  // announced: blocks here
        break;
      case 4: {
        int p[2];
        char c = 'y';
        CHECK_OK(pipe(p));
        CHECK_EQ(write(p[1], &c, 1), 1);
        CHECK_EQ(read(p[0], &c, 1), 1);
        close(p[0]), close(p[1]);
        break;
      }
    }
    CHECK_EQ(os_tid(), mine);
    if (i == 30) CHECK_EQ(vtshim_unpin(), 0);  // one of two
  }
  atomic_store(&taken[mine], 0);
  CHECK_EQ(vtshim_unpin(), 0);
  CHECK_EQ(vtshim_unpin(), vtshim_is_virtual() ? EINVAL : 0);
  for (int i = 0; i < 20; ++i) sched_yield(), check_alone();
  if (arg) CHECK_EQ(vtshim_pin(), 0);  // its end unpins
  return NULL;
}

int main(void) {
  CHECK_EQ(vtshim_pin(), 0);  // main, before there are threads
  CHECK_EQ(vtshim_unpin(), 0);
  // The shim's own, as a program finds it that was built without the header.
  int (*found)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "vtshim_pin");
  CHECK_EQ(found != NULL, vtshim_pin_if_there != NULL);
  if (found) {
    CHECK_EQ(found(), 0);
    CHECK_EQ(((int (*)(void))dlsym(RTLD_DEFAULT, "vtshim_unpin"))(), 0);
  }
  sem_init(&turn, 0, 0), sem_init(&answer, 0, 0);
  pthread_t threads[kPinned + kOthers];
  int pairs[kOthers][2];
  for (int i = 0; i < kOthers; ++i) {
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]));
    threads[kPinned + i] = start_thread(other, pairs[i]);
  }
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < kPinned; ++i) threads[i] = start_thread(pinned, i % 2 ? &turn : NULL);
    if (round == 1) {  // main too
      CHECK_EQ(vtshim_pin(), 0);
      atomic_store(&taken[getpid()], 1);
      for (int i = 0; i < 50; ++i) sleep_ms(1);
    }
    for (int i = 0; i < kPinned; ++i) join_thread(threads[i]);
    if (round == 1) {
      CHECK_EQ(os_tid(), getpid());
      atomic_store(&taken[getpid()], 0);
      CHECK_EQ(vtshim_unpin(), 0);
    }
  }
  atomic_store(&stop, 1);
  for (int i = 0; i < kOthers; ++i) join_thread(threads[kPinned + i]);
  CHECK_EQ(atomic_load(&trespasses), 0);
  printf("%d steps of others, %d moves\n", atomic_load(&others_ran), atomic_load(&wanderers));
  return 0;
}
