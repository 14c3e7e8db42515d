// Main's handlers run on main's own stack, below the frames that wait or compute, or on its signal stack if they ask for that, as a collector expects that stops the
// world by signals: it scans from its handler's frame up, and finds what main's registers held. The handler may wait for others, who go on meanwhile; unwinders pass
// through; what was interrupted goes on with all of its registers.
// Fails if a handler's frame lies elsewhere, a value that only a register held isn't between it and the stack's end, or the FPU's state or the direction flag gets lost.
#include "../check.h"

#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unwind.h>

enum { kEach = 12, kWaits = 11 };
static char *low, *high;
static pthread_t main_thread;
static volatile int runs, bad_place, not_found, direction, no_restart, unwound, wants_unwind, on_stack_runs;
static char* volatile waits_at;
static char signal_stack[256 << 10];
static sem_t restart, acknowledged, tokens;
static const uint64_t kSecret = 0x5ec2e7c0de5ec2e7;  // plus 1 in main's register: the constant itself may lie about

static _Unwind_Reason_Code step(struct _Unwind_Context* context, void* found) {
  if (_Unwind_GetCFA(context) >= (uintptr_t)waits_at) *(int*)found = 1;
  return _URC_NO_REASON;
}
static int is_found(const char* from) {
  uint64_t inverted = ~(kSecret + 1);
  for (const uint64_t* p = (const uint64_t*)((uintptr_t)from & ~7ul); (const char*)p < high - 8; ++p)
    if (~*(volatile const uint64_t*)p == inverted) return 1;
  return 0;
}
static void handler(int signal) {
  (void)signal;
  int saved = errno;
  char* here = (char*)__builtin_frame_address(0);
  uint64_t flags;
  __asm__ volatile("pushfq; popq %0" : "=r"(flags));
  if (flags & 0x400) ++direction;
  if (here < low || here >= high || here >= waits_at || !pthread_equal(pthread_self(), main_thread)) ++bad_place;
  if (!is_found(here)) ++not_found;
  if (wants_unwind) {
    int found = 0;
    _Unwind_Backtrace(step, &found);
    unwound += found;
  }
  __asm__ volatile("fninit; fldpi; fldpi" ::: "st", "st(1)");
  __asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm7, %%xmm7; pxor %%xmm15, %%xmm15" ::: "xmm0", "xmm7", "xmm15");
  __asm__ volatile("fninit");
  sem_post(&acknowledged);
  while (sem_wait(&restart) != 0) CHECK_EQ(errno, EINTR);  // "the world is stopped"
  ++runs;
  errno = saved;
}
static void handler_on_stack(int signal) {
  (void)signal;
  char* here = (char*)__builtin_frame_address(0);
  stack_t now;
  CHECK_OK(sigaltstack(NULL, &now));
  CHECK(now.ss_flags & SS_ONSTACK);
  CHECK(here >= signal_stack && here < signal_stack + sizeof signal_stack);
  ++on_stack_runs;
}

// ---- the ways to wait
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, cond_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int pipe_[2];
static volatile int stop;

__attribute__((noinline)) static void wait_by(int kind, pthread_t other) {
  char c;
  struct timespec ts = {0, 1000000};
  struct pollfd p = {pipe_[0], POLLIN, 0};
  sigset_t none;
  sigemptyset(&none);
  switch (kind) {
    case 0: CHECK_RC(pthread_join(other, NULL), 0); break;
    case 1: while (!stop) sem_wait(&tokens); break;
    case 2: CHECK_RC(pthread_mutex_lock(&mutex), 0); CHECK_RC(pthread_mutex_unlock(&mutex), 0); break;
    case 3:
      CHECK_RC(pthread_mutex_lock(&cond_mutex), 0);
      while (!stop) pthread_cond_wait(&cond, &cond_mutex);
      CHECK_RC(pthread_mutex_unlock(&cond_mutex), 0);
      break;
    case 4: while (read(pipe_[0], &c, 1) != 1) CHECK_EQ(errno, EINTR); break;
    case 5: while (poll(&p, 1, -1) != 1) CHECK_EQ(errno, EINTR); CHECK_EQ(read(pipe_[0], &c, 1), 1); break;
    case 6: while (!stop) nanosleep(&ts, NULL); break;
    case 7: while (!stop) sched_yield(); break;
    case 8: while (!stop) { } break;
    case 9:
      while (!stop) {
        long r = SYS_nanosleep;  // an instruction of the program's own
        __asm__ volatile("syscall" : "+a"(r) : "D"(&ts), "S"(0l) : "rcx", "r11", "memory");
      }
      break;
    case 10: while (!stop) ppoll(NULL, 0, &ts, &none); break;
  }
}
// A value in registers that calls keep, and in the FPU.
__attribute__((noinline)) static void wait_with_registers(int kind, pthread_t other) {
  waits_at = (char*)__builtin_frame_address(0);
  register uint64_t a __asm__("r12") = ~kSecret;
  __asm__ volatile("notq %0; incq %0" : "+r"(a));
  wait_by(kind, other);
  __asm__ volatile("" : "+r"(a));
  CHECK(a - 1 == kSecret);
}
// Main computes in one instruction sequence, with the direction flag set and values in caller-saved registers alone.
__attribute__((noinline)) static void compute_with_registers(void) {
  waits_at = (char*)__builtin_frame_address(0);
  uint64_t ok = 1;
  __asm__ volatile(
      "subq $256, %%rsp\n\t"
      "movq $0x123456789, %%rax; movq %%rax, %%xmm0; movq %%rax, %%xmm7; movq %%rax, %%xmm15\n\t"
      "fninit; fld1; fldpi\n\t"
      "movabsq %2, %%r11; notq %%r11; incq %%r11\n\t"
      "std\n"
      "1: movq %%xmm0, %%rcx; cmpq %%rax, %%rcx; jne 2f\n\t"
      "movq %%xmm15, %%rcx; cmpq %%rax, %%rcx; jne 2f\n\t"
      "pushfq; popq %%rcx; testq $0x400, %%rcx; jz 2f\n\t"
      "cmpl $0, %1; je 1b\n\t"
      "jmp 3f\n"
      "2: movq $0, %0\n"
      "3: cld; fstp %%st(0); fstp %%st(0); addq $256, %%rsp"
      : "+m"(ok)
      : "m"(stop), "i"(~kSecret)
      : "rax", "rcx", "r11", "xmm0", "xmm7", "xmm15", "st", "st(1)", "memory", "cc");
  CHECK(ok);
}

static void* stops_the_world(void* kind) {
  int last = (long)kind;
  if (last == 2) CHECK_RC(pthread_mutex_lock(&mutex), 0);
  for (int i = 0; i < kEach; ++i) {
    if (i & 1) sched_yield();
    else usleep(500);
    CHECK_RC(pthread_kill(main_thread, SIGUSR1), 0);
    while (sem_wait(&acknowledged)) CHECK_EQ(errno, EINTR);
    for (int k = 0; k < 3; ++k) usleep(50);  // others run while main's handler waits
    int before = runs;
    CHECK_OK(sem_post(&restart));
    while (runs == before) sched_yield();
  }
  stop = 1;
  if (last == 2) CHECK_RC(pthread_mutex_unlock(&mutex), 0);
  CHECK_OK(sem_post(&tokens));
  CHECK_RC(pthread_mutex_lock(&cond_mutex), 0);
  CHECK_RC(pthread_cond_signal(&cond), 0);
  CHECK_RC(pthread_mutex_unlock(&cond_mutex), 0);
  if (last == 4 || last == 5) CHECK_EQ(write(pipe_[1], "x", 1), 1);
  return NULL;
}
static volatile int spins = 1;
static void* spin(void* unused) {
  while (spins) { }
  return unused;
}

int main(void) {
  pthread_attr_t attr;
  void* at;
  size_t size;
  main_thread = pthread_self();
  CHECK_RC(pthread_getattr_np(main_thread, &attr), 0);
  CHECK_RC(pthread_attr_getstack(&attr, &at, &size), 0);
  low = at;
  high = low + size;
  struct sigaction a = {0};
  a.sa_handler = handler;
  a.sa_flags = SA_RESTART;
  CHECK_OK(sigaction(SIGUSR1, &a, NULL));
  a.sa_handler = handler_on_stack;
  a.sa_flags = SA_RESTART | SA_ONSTACK;
  CHECK_OK(sigaction(SIGUSR2, &a, NULL));
  CHECK_OK(pipe(pipe_));
  CHECK_OK(sem_init(&restart, 0, 0));
  CHECK_OK(sem_init(&acknowledged, 0, 0));
  CHECK_OK(sem_init(&tokens, 0, 0));
  for (int others = 0; others < 2; ++others) {
    pthread_t spinner, t;
    if (others) CHECK_RC(pthread_create(&spinner, NULL, spin, NULL), 0);
    for (long kind = 0; kind <= kWaits; ++kind) {
      stop = runs = unwound = 0;
      wants_unwind = kind == 8 || kind == kWaits;
      waits_at = (char*)__builtin_frame_address(0);
      CHECK_RC(pthread_create(&t, NULL, stops_the_world, (void*)kind), 0);
      if (kind == kWaits) compute_with_registers();
      else wait_with_registers((int)kind, t);
      waits_at = (char*)__builtin_frame_address(0);
      if (kind) CHECK_RC(pthread_join(t, NULL), 0);
      CHECK_EQ(runs, kEach);
      CHECK_EQ(bad_place, 0);
      CHECK_EQ(direction, 0);
      if (wants_unwind) CHECK_EQ(unwound, kEach);
      while (sem_trywait(&tokens) == 0) { }
    }
    if (others) {
      spins = 0;
      CHECK_RC(pthread_join(spinner, NULL), 0);
    }
  }
  CHECK(not_found <= 4 * kWaits);  // before main waits, or after: the register isn't loaded yet
  // Its own signal stack, told while the handler runs there.
  pthread_t t;
  stack_t stack = {signal_stack, 0, sizeof signal_stack}, before;
  CHECK_RC(pthread_create(&t, NULL, spin, NULL), 0);
  CHECK_OK(sigaltstack(&stack, NULL));
  spins = 1;
  for (int i = 0; i < kEach; ++i) CHECK_RC(pthread_kill(main_thread, SIGUSR2), 0);
  CHECK_EQ(on_stack_runs, kEach);
  CHECK_OK(sigaltstack(NULL, &before));
  CHECK(before.ss_sp == (void*)signal_stack && before.ss_flags == 0);
  spins = 0;
  CHECK_RC(pthread_join(t, NULL), 0);
  return 0;
}
