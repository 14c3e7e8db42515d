// timer_create(2) with SIGEV_THREAD_ID for a virtual thread, whose id the kernel doesn't know: the kernel tells the monitor, and the
// monitor the thread. All other timers are glibc's.
#include "shim/real.h"

using vt::shim::errno_result;

VT_EXPORT int timer_create(clockid_t clock, struct sigevent* event, timer_t* timer) {
  constexpr int kThreadId = 4;  // SIGEV_THREAD_ID
  struct sigevent changed;
  vt::TimerSignal* signal = nullptr;
  if (event && event->sigev_notify == kThreadId) {
    changed = *event;
    int r = vt::timer_signal_begin(&changed, &signal);
    if (r < 0) return (int)errno_result(r);
    if (signal) event = &changed;
  }
  int r = VT_REAL(timer_create)(clock, event, timer);
  if (signal) vt::timer_signal_made(signal, r == 0 ? timer : nullptr);
  return r;
}
VT_EXPORT int timer_delete(timer_t timer) {
  int r = VT_REAL(timer_delete)(timer);
  if (r == 0) vt::timer_signal_gone(timer);
  return r;
}
