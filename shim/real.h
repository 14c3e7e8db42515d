// libc's own functions behind the interposed names, expanded from interpose.def. Looked up at first use (a shim body may run
// before any constructor), or with the first pthread_create. Any thread; no allocation of ours, no guarded statics.
#pragma once

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <string.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <type_traits>

#include "api.h"
#include "shim/undeclared.h"

#define VT_EXPORT extern "C" __attribute__((visibility("default")))

namespace vt::shim {

/// Around a call by which libc looks at OS threads: api.h, numbers_show().
class NumbersShown {
 public:
  explicit NumbersShown(bool wanted = true) : result_(wanted ? numbers_show() : 0) {}
  ~NumbersShown() {
    int e = errno;
    if (result_ > 0) numbers_hide();
    errno = e;
  }
  NumbersShown(const NumbersShown&) = delete;
  NumbersShown& operator=(const NumbersShown&) = delete;
  bool is_needed() const { return result_ != 0; }
  int error() const { return result_ < 0 ? -result_ : 0; }

 private:
  int result_;
};
/// Libc's own call for a platform thread's handle; `or_else` where main's can't be shown to it.
template <class Call, class Else>
int of_os_thread(pthread_t thread, Call&& call, Else&& or_else) {
  NumbersShown shown(is_main_handle(thread));
  return shown.error() ? or_else() : call();
}
template <class Call>
int of_os_thread(pthread_t thread, Call&& call) {
  return of_os_thread(thread, call, call);
}


enum Symbol : unsigned {
#define VT_ROW(name, ...) k_##name,
#include "shim/interpose.def"
#undef VT_ROW
  kSymbolCount
};

enum ErrorKind { kErrno, kReturned, kOther };
enum CancelKind { kNoCancelPoint, kCancelPoint };
constexpr bool kIsCancelPoint[] = {
#define VT_ROW(name, version, errors, cancel) cancel == kCancelPoint,
#include "shim/interpose.def"
#undef VT_ROW
};

extern void* real_functions[kSymbolCount];
void* look_up(Symbol symbol) noexcept;
/// All of them, with the first thread: a look-up takes ld.so's lock, and who holds that then may wait for the one who looks.
void look_up_all() noexcept;

template <class F>
inline F real(Symbol symbol) noexcept {
  void* p = __atomic_load_n(&real_functions[symbol], __ATOMIC_RELAXED);
  if (__builtin_expect(!p, 0)) p = look_up(symbol);
  return reinterpret_cast<F>(p);
}

/// Somebody has called pthread_cancel. Until then no cancellation point has to look into its thread area.
inline std::atomic<bool> anyone_cancelled{false};
/// What a call that is one begins with.
inline void cancellation_point() {
  if (__builtin_expect(anyone_cancelled.load(std::memory_order_relaxed), 0)) pthread_testcancel();
}

/// A result of the runtime (>= 0 or -errno) as functions tell it that set errno.
inline long errno_result(long r) {
  if (r >= 0) return r;
  if (r == -EINTR) pthread_testcancel();  // a wait at a cancellation point ends so when its thread is cancelled
  if (r == -EPIPE) vt::signal_take_pipe();
  errno = (int)-r;
  return -1;
}

/// A call of libc's that may wait in ways that only libc or the kernel knows. @parks
template <Symbol S, class R, class... P>
R announced(R (*call)(P...), std::type_identity_t<P>... arguments) {
  if (!can_park()) return call(arguments...);
  if constexpr (kIsCancelPoint[S]) cancellation_point();
  handlers_before_call();
  R result{};
  bool called = true;
  blocking([&] {
    if (!kIsCancelPoint[S]) cancel_shield(true);
    if (kIsCancelPoint[S] && thread_wants_cancel()) called = false;  // who cancels a thread that is on its way here can't end its call
    else result = call(arguments...);
    if (!kIsCancelPoint[S]) cancel_shield(false);
    if ((intptr_t)result == -1 && errno == EPIPE) signal_take_pipe();  // while its OS thread is there
  });
  if constexpr (kIsCancelPoint[S])
    if (thread_wants_cancel() && (!called || ((intptr_t)result == -1 && errno == EINTR))) pthread_testcancel();  // it ended for that
  return result;
}

/// The same for a look-up: of very many at once most wait their turn (core/look_ups.h). @parks
template <Symbol S, class R, class... P>
R looked_up(R (*call)(P...), std::type_identity_t<P>... arguments) {
  if (!can_park()) return call(arguments...);
  LookUp turn(kIsCancelPoint[S]);
  return announced<S>(call, arguments...);
}

/// What an announced system call came to, as functions tell it that set errno.
template <Symbol S>
long call_result(long r) {
  if (r >= 0) return r;
  if (kIsCancelPoint[S] && r == -EINTR) pthread_testcancel();
  errno = (int)-r;
  return -1;
}

/// A system call that may wait, itself. @parks
template <Symbol S, class... A>
long announced_system_call(long number, A... arguments) {
  if constexpr (kIsCancelPoint[S]) cancellation_point();
  uint32_t handlers = handlers_before_call();
  long r;
  do r = blocking_system_call(kIsCancelPoint[S], number, {(long)arguments...});
  while (r == -EINTR && !thread_was_interrupted(handlers, kIsCancelPoint[S]));
  return call_result<S>(r);
}

/// One that can be asked not to wait: announced only if `tried`, libc's own, says with `busy` that it would. -1 and errno. @parks
template <Symbol S, class Try, class... A>
long announced_if_busy(int busy, Try&& tried, long number, A... arguments) {
  if constexpr (kIsCancelPoint[S]) cancellation_point();
  int before = errno;
  uint32_t handlers = handlers_before_call();
  long r = tried();
  // A kick of ours may end the try, too: semtimedop looks for signals before it looks at its time.
  if (r == -1 && errno == EINTR && thread_was_interrupted(handlers, kIsCancelPoint[S])) return call_result<S>(-EINTR);
  if (r != -1 || (errno != busy && errno != EINTR)) return r;
  errno = before;
  return announced_system_call<S>(number, arguments...);
}

}  // namespace vt::shim

/// libc's own function of that name.
#define VT_REAL(name) (::vt::shim::real<decltype(&::name)>(::vt::shim::k_##name))
/// A whole body: libc's own function, announced as blocking.
#define VT_BLOCKING(name, ...) return ::vt::shim::announced<::vt::shim::k_##name>(VT_REAL(name)__VA_OPT__(, ) __VA_ARGS__)
#define VT_LOOK_UP_CALL(name, ...) return ::vt::shim::looked_up<::vt::shim::k_##name>(VT_REAL(name)__VA_OPT__(, ) __VA_ARGS__)
/// The same where libc's function is nothing but the system call.
#define VT_BLOCKING_CALL(name, ...)                                      \
  if (!::vt::can_park()) return VT_REAL(name)(__VA_ARGS__);              \
  return ::vt::shim::announced_system_call<::vt::shim::k_##name>(SYS_##name, __VA_ARGS__)
