// Cancellation of virtual threads, main included: pthread_cancel(3). glibc keeps the state in struct pthread and acts at
// pthread_testcancel(); what is parked at a cancellation point is woken for that with kInterrupted, or -EINTR. An asynchronous cancellation
// comes as a signal does (kCancels in signals_pending), wherever the thread is, and is acted on outside of sections: in the program's code, in an
// announced call, or after a wait that it ended. Main's type counts as deferred. Layer: core.
#pragma once

#include "core/thread_area.h"
#include "core/vthread.h"

namespace vt {

/// A cancellation of v waits until that enables it, or for ever: v is ending.
inline bool cancel_held_off(const VThread* v) noexcept {
  return v->cancel_disabled.load(std::memory_order_relaxed) || thread_area_is_exiting(v->tp);
}
/// A wait of v's at a cancellation point shall end. @thread v, or who holds what keeps v's wait alive
inline bool cancel_wanted(const VThread* v) noexcept {
  return __builtin_expect(v->cancel_requested.load(std::memory_order_seq_cst), 0) && !cancel_held_off(v);
}
/// In signals_pending of threads other than main: one that is asynchronous has come. Nobody is sent libc's signals, and none blocks them (32 is kPassed).
constexpr int kCancels = 33;
/// v is to be unwound as soon as it leaves the section that it's in: a wait that isn't at a cancellation point gives up. @thread v
inline bool cancel_unwinds(const VThread* v) noexcept {
  return __builtin_expect(v->cancel_async.load(std::memory_order_relaxed), 0) && v->depth == 1 && !v->is_main && cancel_wanted(v);
}
/// Unwinds v if that is so. @thread v, outside of sections
void cancel_act(VThread* v);
/// For sys::stoppable(): set as long as cancel_wanted(v). @thread v
inline const bool* cancel_flag(const VThread* v) noexcept {
  static constexpr bool kNever = false;
  static_assert(sizeof v->cancel_requested == sizeof(bool));
  return cancel_held_off(v) ? &kNever : (const bool*)&v->cancel_requested;
}
/// Ends v's wait, if it is in one that cancellation ends. The request is noted in v already. @thread any in user context
void cancel_thread(VThread* v) noexcept;
/// Ends v's wait, whatever it is, so that it looks at its signals. False: it is in none. @thread any in user context
bool cancel_end_wait(VThread* v) noexcept;
/// Ends the waits in c's ring of those that were asked to. @thread c's OS thread
void cancel_attend(Carrier* c) noexcept;

}  // namespace vt
