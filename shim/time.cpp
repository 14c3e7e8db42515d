// Sleeping: nanosleep(2), clock_nanosleep(2), usleep(3), sleep(3). The CPU time of threads: clock_gettime(2), pthread_getcpuclockid(3).
#include "shim/real.h"
#include "sys/memory.h"

using vt::shim::cancellation_point;
using vt::shim::errno_result;
using vt::shim::of_os_thread;

namespace {

using vt::sys::readable;

bool valid(const timespec& t) { return t.tv_sec >= 0 && t.tv_nsec >= 0 && t.tv_nsec < 1000000000; }

/// Now on `clock`, plus `t`; saturates.
timespec after(clockid_t clock, const timespec& t) {
  timespec now;
  clock_gettime(clock, &now);
  timespec sum{0, now.tv_nsec + t.tv_nsec};
  time_t carry = sum.tv_nsec >= 1000000000;
  if (carry) sum.tv_nsec -= 1000000000;
  if (__builtin_add_overflow(now.tv_sec, t.tv_sec, &sum.tv_sec) || __builtin_add_overflow(sum.tv_sec, carry, &sum.tv_sec))
    sum = {INT64_MAX, 999999999};
  return sum;
}

/// 0, or -EINTR with what is left.
int sleep_for(const timespec& time, timespec* left) {
  timespec end = after(CLOCK_MONOTONIC, time), now;
  int r = vt::sleep_until(CLOCK_MONOTONIC, end);
  if (r == -EINTR && left) {
    clock_gettime(CLOCK_MONOTONIC, &now);
    *left = {end.tv_sec - now.tv_sec, end.tv_nsec - now.tv_nsec};
    if (left->tv_nsec < 0) --left->tv_sec, left->tv_nsec += 1000000000;
    if (left->tv_sec < 0) *left = {0, 0};
  }
  return r;
}

}  // namespace

VT_EXPORT int nanosleep(const timespec* time, timespec* left) {
  if (!vt::can_park() || !readable(time, sizeof *time)) return VT_REAL(nanosleep)(time, left);
  cancellation_point();
  if (!valid(*time)) return (int)errno_result(-EINVAL);
  return (int)errno_result(sleep_for(*time, left));
}
VT_EXPORT int __nanosleep(const timespec* time, timespec* left) { return nanosleep(time, left); }

VT_EXPORT int clock_nanosleep(clockid_t clock, int flags, const timespec* time, timespec* left) {
  bool ours = clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME;
  if (!vt::can_park() || !readable(time, sizeof *time)) return VT_REAL(clock_nanosleep)(clock, flags, time, left);
  cancellation_point();
  if (!ours) {  // CPU-time clocks
    int r = 0;
    vt::blocking([&] { r = VT_REAL(clock_nanosleep)(clock, flags, time, left); });
    return r;
  }
  if (!valid(*time)) return EINVAL;
  int r = flags & TIMER_ABSTIME ? vt::sleep_until(clock, *time) : sleep_for(*time, left);
  if (r == -EINTR) pthread_testcancel();
  return -r;
}

VT_EXPORT int usleep(useconds_t us) {
  timespec t{(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
  return nanosleep(&t, nullptr);
}
VT_EXPORT unsigned sleep(unsigned seconds) {
  if (!vt::can_park()) return VT_REAL(sleep)(seconds);
  timespec t{(time_t)seconds, 0}, left{};
  if (nanosleep(&t, &left) == 0) return 0;
  return (unsigned)left.tv_sec + (left.tv_nsec >= 500000000);
}

VT_EXPORT int clock_gettime(clockid_t clock, timespec* time) {
  if (__builtin_expect(clock < 0 || clock == CLOCK_THREAD_CPUTIME_ID, 0)) {
    timespec now;
    int r = vt::clock_of_thread(clock, &now);
    if (r == 0 && !vt::sys::writable(time, sizeof *time)) r = -EFAULT;
    if (r == 0) *time = now;
    if (r != vt::kNotVirtual) return (int)errno_result(r);
  }
  return VT_REAL(clock_gettime)(clock, time);
}
VT_EXPORT int clock_getres(clockid_t clock, timespec* resolution) {
  int r = clock < 0 ? vt::clock_of_thread(clock, nullptr) : vt::kNotVirtual;
  if (r < 0) return (int)errno_result(r);
  return VT_REAL(clock_getres)(r == vt::kNotVirtual ? clock : CLOCK_THREAD_CPUTIME_ID, resolution);
}
VT_EXPORT int pthread_getcpuclockid(pthread_t thread, clockid_t* clock) {
  if (!vt::is_vthread(thread)) return of_os_thread(thread, [&] { return VT_REAL(pthread_getcpuclockid)(thread, clock); });
  return -vt::thread_cpu_clock(thread, clock);
}
