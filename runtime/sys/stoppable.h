// A system call that another thread's signal can stop at any point before the kernel waits: also between the look at `stop` and the call itself, where
// a flag alone would come too late. The handler asks stop_call(). After glibc's bug 12683, which describes the race. Layer: sys. @signal safe
#pragma once

#include <errno.h>
#include <ucontext.h>

namespace vt::sys {

extern "C" {
/// From the look at `stop` to the `syscall` instruction.
extern const char vt_stoppable_looks[] __attribute__((visibility("hidden")));
extern const char vt_stoppable_enters[] __attribute__((visibility("hidden")));
/// Where such a call goes on that has been stopped: with -EINTR.
extern const char vt_stoppable_stops[] __attribute__((visibility("hidden")));
}
long stoppable_call(const bool* stop, long number, const long (&arguments)[6]) noexcept;

/// -EINTR, and no call is made, if `*stop` is set when it begins, or a handler calls stop_call() before the kernel is in it.
template <class... A>
long stoppable(const bool* stop, long number, A... arguments) noexcept {
  static_assert(sizeof...(A) <= 6);
  return stoppable_call(stop, number, {(long)arguments...});
}

/// For the handler: ends what it interrupted, if that is such a call that isn't made yet, or that the kernel would start again.
inline bool stop_call(ucontext_t* uc) noexcept {
  auto& registers = uc->uc_mcontext.gregs;
  auto at = (const char*)registers[REG_RIP];
  if (at < vt_stoppable_looks || at > vt_stoppable_enters) return false;
  registers[REG_RIP] = (greg_t)vt_stoppable_stops;
  return true;
}

}  // namespace vt::sys
