// What libc keeps per thread stays with its thread across parks: strerror(3) and strsignal(3) buffers, dlerror(3),
// h_errno, _res, the C11 thrd_current; so does the floating-point
// rounding mode (fenv(3)).
#include "fpu.h"

#include <dlfcn.h>
#include <netdb.h>
#include <resolv.h>
#include <sched.h>
#include <threads.h>

enum { kThreads = 30, kRounds = 20 };

static void* g_res[kThreads];
static pthread_barrier_t g_step;

static void* run(void* arg) {
  int me = (int)(long)arg;
  thrd_t current = thrd_current();
  g_res[me] = &_res;
  check_rounding(FE_TONEAREST);
  set_rounding(me % 2 ? FE_UPWARD : FE_DOWNWARD);
  for (int i = 0; i < kRounds; ++i) {
    char want_error[64];
    char want_signal[64];
    char missing[64];
    snprintf(want_error, sizeof want_error, "Unknown error %d", 100000 + me);
    snprintf(want_signal, sizeof want_signal, "Unknown signal %d", 1000 + me);
    snprintf(missing, sizeof missing, "/nonexistent/lib%d.so", me);
    char* error = strerror(100000 + me);
    char* signal = strsignal(1000 + me);
    CHECK(dlopen(missing, RTLD_NOW) == NULL);
    h_errno = 500 + me;
    volatile double one = 1.0;
    volatile double three = 3.0;
    double third = one / three;
    if (i % 4)
      sched_yield();
    else
      usleep(1);
    CHECK_STR(error, want_error);
    CHECK_STR(signal, want_signal);
    char* dl_error = dlerror();
    CHECK(dl_error != NULL);
    CHECK(strstr(dl_error, missing) != NULL);
    CHECK(dlerror() == NULL);
    CHECK_EQ(h_errno, 500 + me);
    CHECK(thrd_equal(thrd_current(), current));
    CHECK(g_res[me] == (void*)&_res);
    check_rounding(me % 2 ? FE_UPWARD : FE_DOWNWARD);
    CHECK(one / three == third);
  }
  pthread_barrier_wait(&g_step);
  return NULL;
}

int main(void) {
  CHECK_RC(pthread_barrier_init(&g_step, NULL, kThreads), 0);
  pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; ++i) threads[i] = start_thread(run, (void*)i);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  for (int i = 0; i < kThreads; ++i)
    for (int j = 0; j < i; ++j) CHECK(g_res[i] != g_res[j]);
  check_rounding(FE_TONEAREST);
  return 0;
}
