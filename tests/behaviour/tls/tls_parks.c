// Thread-local storage (ELF TLS ABI, errno(3)): 1,000 threads check their __thread variables and errno, also through
// pointers that were taken before the call, after each of N parks: semaphore and pipe hand-overs in rings of ten,
// sched_yield, nanosleep of 0 and 1 us. Usage: tls_parks [parks]; 1,000 by default.
// vtshim-test: timeout=120
#include "../check.h"

#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <sys/resource.h>

enum { kThreads = 1000, kRing = 10, kTokens = 3 };

typedef struct {
  sem_t sem;
  int pipe[2];
} Seat;

static Seat g_seats[kThreads];
static int g_parks = 1000;
static pthread_barrier_t g_start;

static __thread uint64_t t_number = 0x123456789abcdef0;
static __thread uint32_t t_zero;
static __thread unsigned char t_bytes[200] = {1, 2, 3};
static __thread char t_aligned[64] __attribute__((aligned(64)));

// Keeps the compiler from computing the pointer's value anew after a call.
#define OPAQUE(pointer) __asm__ volatile("" : "+r"(pointer))

__attribute__((noipa)) static uint64_t* number_address(void) { return &t_number; }
__attribute__((noipa)) static int* errno_address(void) { return &errno; }

static void park(int me, int turn) {
  Seat* seat = &g_seats[me];
  Seat* next = &g_seats[me / kRing * kRing + (me + 1) % kRing];
  char byte;
  switch (turn % 10) {
    case 6:
    case 7:
      sched_yield();
      break;
    case 8: {
      struct timespec time = {0, turn % 20 == 8 ? 1000 : 0};
      if (turn % 60 < 20)
        nanosleep(&time, NULL);
      else
        sched_yield();
      break;
    }
    case 9:
      CHECK_EQ(read(seat->pipe[0], &byte, 1), 1);
      CHECK_EQ(write(next->pipe[1], &byte, 1), 1);
      break;
    default:
      CHECK_EQ(sem_wait(&seat->sem), 0);
      CHECK_EQ(sem_post(&next->sem), 0);
      break;
  }
}

static void* run(void* arg) {
  int me = (int)(long)arg;
  CHECK_EQ(t_number, 0x123456789abcdef0);
  CHECK_EQ(t_zero, 0);
  CHECK(t_bytes[0] == 1 && t_bytes[2] == 3 && t_bytes[199] == 0);
  CHECK_EQ(errno, 0);
  CHECK_EQ((uintptr_t)t_aligned % 64, 0);
  pthread_barrier_wait(&g_start);
  uint64_t* number = &t_number;
  unsigned char* bytes = t_bytes;
  int* error = &errno;
  OPAQUE(number);
  OPAQUE(bytes);
  OPAQUE(error);
  memset(bytes, me & 0xff, sizeof t_bytes);
  for (int turn = 0; turn < g_parks; ++turn) {
    *number = (uint64_t)me << 32 | (uint64_t)turn;
    t_zero = (uint32_t)(me ^ turn);
    *error = me + turn;
    park(me, turn);
    CHECK_EQ(*error, me + turn);
    CHECK_EQ(errno, me + turn);
    CHECK(error == errno_address());
    CHECK(number == number_address());
    CHECK_EQ(t_number, (uint64_t)me << 32 | (uint64_t)turn);
    CHECK_EQ(t_zero, (uint32_t)(me ^ turn));
    CHECK_EQ(bytes[turn % 200], me & 0xff);
    CHECK_EQ(t_bytes[199], me & 0xff);
  }
  return NULL;
}

int main(int argc, char** argv) {
  if (argc > 1) g_parks = atoi(argv[1]);
  struct rlimit files;
  CHECK_OK(getrlimit(RLIMIT_NOFILE, &files));
  files.rlim_cur = files.rlim_max;
  CHECK_OK(setrlimit(RLIMIT_NOFILE, &files));
  if (files.rlim_cur < 2 * kThreads + 100) SKIP("too few file descriptors");
  for (int i = 0; i < kThreads; ++i) {
    CHECK_OK(sem_init(&g_seats[i].sem, 0, i % kRing < kTokens));
    CHECK_OK(pipe(g_seats[i].pipe));
    if (i % kRing < kTokens) CHECK_EQ(write(g_seats[i].pipe[1], "x", 1), 1);
  }
  CHECK_RC(pthread_barrier_init(&g_start, NULL, kThreads), 0);
  static pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; ++i) threads[i] = start_thread_with_stack(64 * 1024, run, (void*)i);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  return 0;
}
