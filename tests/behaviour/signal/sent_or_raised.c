// Signals that instructions raise may be sent, too. Sent to main by pthread_kill, tgkill, pthread_sigqueue and kill, while it waits, computes, or makes a call that isn't
// interposed, and others compute, they run on main. Raised (a fault, abort, a write to a pipe without reader, the timer of CPU time) they run on who raised them.
// Fails if a handler runs on another thread.
#include "../check.h"

#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>

static const int list[] = {SIGUSR1, SIGPROF, SIGPIPE, SIGTRAP, SIGSYS, SIGABRT, SIGFPE, SIGILL, SIGBUS, SIGSEGV};
enum { kSignals = sizeof list / sizeof *list, kWays = 4, kSpinners = 3 };
static pthread_t main_thread;
static __thread volatile int mine;  // 1: main's
static volatile int runs, wrong, stop, done, code;
static volatile uintptr_t sink;

static void on_sent(int signal, siginfo_t* info, void* context) {
  (void)context, (void)signal;
  ++runs;
  code = info->si_code;
  if (mine != 1 || !pthread_equal(pthread_self(), main_thread)) ++wrong;
}
static void* spin(void* unused) {
  mine = 2;
  while (!stop) ++sink;
  return unused;
}
static void send_one(int way, int signal) {
  union sigval v = {1};
  switch (way) {
    case 0: CHECK_RC(pthread_kill(main_thread, signal), 0); break;
    case 1: CHECK_OK(tgkill(getpid(), getpid(), signal)); break;
    case 2: CHECK_RC(pthread_sigqueue(main_thread, signal, v), 0); break;
    default: CHECK_OK(kill(getpid(), signal)); break;
  }
}
static void* sends(void* unused) {
  static const int codes[kWays] = {SI_TKILL, SI_TKILL, SI_QUEUE, SI_USER};
  mine = 3;
  for (int i = 0; i < kSignals * kWays * 2; ++i) {
    int before = runs;
    send_one(i / kSignals % kWays, list[i % kSignals]);
    while (runs == before) sched_yield();
    CHECK_EQ(code, codes[i / kSignals % kWays]);
  }
  done = 1;
  return unused;
}
static void main_gets_what_is_sent(void) {
  pthread_t spinners[kSpinners], t;
  stop = 0;
  for (int i = 0; i < kSpinners; ++i) CHECK_RC(pthread_create(&spinners[i], NULL, spin, NULL), 0);
  for (int what = 0; what < 3; ++what) {
    runs = done = 0;
    CHECK_RC(pthread_create(&t, NULL, sends, NULL), 0);
    if (what == 1)
      while (!done) ++sink;
    while (what == 2 && !done) {
      struct timespec ts = {0, 200000};
      long r = SYS_nanosleep;  // an instruction of the program's own
      __asm__ volatile("syscall" : "+a"(r) : "D"(&ts), "S"(0l) : "rcx", "r11", "memory");
    }
    CHECK_RC(pthread_join(t, NULL), 0);
    CHECK_EQ(runs, kSignals * kWays * 2);
    CHECK_EQ(wrong, 0);
  }
  stop = 1;
  for (int i = 0; i < kSpinners; ++i) CHECK_RC(pthread_join(spinners[i], NULL), 0);
}

// ---- raised
static __thread sigjmp_buf out;
static __thread volatile int raised;
static void on_raised(int signal, siginfo_t* info, void* context) {
  (void)info, (void)context;
  raised = signal;
  siglongjmp(out, 1);
}
static void on_counted(int signal) { raised = signal; }
static void raise_all(void) {
  for (volatile int i = 0; i < 4; ++i) {
    raised = 0;
    if (sigsetjmp(out, 1) == 0) switch (i) {
        case 0: *(volatile int*)(sink & 0) = 1; break;
        case 1: __asm__ volatile("ud2"); break;
        case 2: abort(); break;
        case 3: __asm__ volatile("int3"); siglongjmp(out, 1);
      }
    static const int expected[] = {SIGSEGV, SIGILL, SIGABRT, SIGTRAP};
    CHECK_EQ(raised, expected[i]);
  }
  int fds[2];
  CHECK_OK(pipe(fds));
  close(fds[0]);
  raised = 0;
  CHECK_ERR(write(fds[1], "x", 1), EPIPE);
  CHECK_EQ(raised, SIGPIPE);
  close(fds[1]);
}
static void* raises(void* unused) {
  for (int i = 0; i < 20; ++i) {
    raise_all();
    sched_yield();
  }
  return unused;
}

int main(void) {
  main_thread = pthread_self();
  mine = 1;
  struct sigaction a = {0};
  a.sa_sigaction = on_sent;
  a.sa_flags = SA_SIGINFO | SA_RESTART;
  for (int i = 0; i < kSignals; ++i) CHECK_OK(sigaction(list[i], &a, NULL));
  main_gets_what_is_sent();
  a.sa_sigaction = on_raised;
  for (int i = 0; i < kSignals; ++i) CHECK_OK(sigaction(list[i], &a, NULL));
  a.sa_handler = on_counted;
  a.sa_flags = SA_RESTART;
  CHECK_OK(sigaction(SIGPIPE, &a, NULL));
  pthread_t t[3];
  for (int i = 0; i < 3; ++i) CHECK_RC(pthread_create(&t[i], NULL, raises, NULL), 0);
  for (int i = 0; i < 3; ++i) CHECK_RC(pthread_join(t[i], NULL), 0);
  CHECK_RC(pthread_create(&t[0], NULL, raises, NULL), 0);
  raise_all();
  CHECK_RC(pthread_join(t[0], NULL), 0);
  return 0;
}
