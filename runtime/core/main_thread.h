// The main thread as a virtual thread (DESIGN.md section 6 and rule 17, final form): at the first pthread_create its OS thread
// becomes carrier 0, and `main`, with its own stack and thread area, a virtual thread that only runs there (but for announced blocking
// calls). Its carrier takes the process's signals; core/signals.cpp. Layer: core.
#pragma once

#include <signal.h>
#include <stdint.h>

#include "core/vthread.h"

namespace vt {

struct WaitNode;
struct IoWait;

/// What may end a blocking call of main's early, as signal(7) lists them.
enum class Interrupt : uint8_t {
  kNever,          // mutexes, conditions, joins
  kUnlessRestart,  // a handler that was installed without SA_RESTART
  kAlways,         // any handler: polls, sleeps, whatever has a time-out
};

/// What kinds of handlers have run, as bits; and whether that ends a call.
constexpr uint8_t kHandlerRestarting = 1, kHandlerInterrupting = 2;
inline bool ends_call(uint8_t ran, Interrupt interrupt) noexcept {
  return (interrupt == Interrupt::kAlways && ran) || (interrupt == Interrupt::kUnlessRestart && (ran & kHandlerInterrupting));
}

/// Of a call of main's; a handler's calls have their own.
struct MainCall {
  bool keeps_handlers = false;        // it began with a mask of its own (ppoll, sigsuspend): what ran under it counts
  const char* masked_call = nullptr;  // that one, on main's stack: a jump may leave it
};

struct MainThread : VThread {
  // ---- its call under way; all of it belongs to the main OS thread
  WaitNode* waits_on = nullptr;    // where it is parked or about to be, if a handler may end that
  IoWait* waits_for = nullptr;
  bool waits_for_ever = false;     // on waits_on: without a deadline
  bool goes_native = false;        // the wait begins anew, in the kernel
  bool hurries = false;            // signals wait for it: it comes first in its queue
  Interrupt interrupt = Interrupt::kNever;
  volatile uint8_t handlers_ran = 0;  // since the call began
  MainCall call;
  // ---- siglongjmp out of a handler, to be done by main itself
  void* jump_env = nullptr;
  int jump_value = 0;
  uint64_t jump_mask = 0;  // the handler's
  bool ended = false;              // pthread_exit
};

/// Null where main is a platform thread.
MainThread* main_thread() noexcept;
/// Is the caller main, and virtual? @signal safe
inline bool is_main(const VThread* v) noexcept { return v && v->is_main; }

/// Whose handle it is: a virtual thread's, main's too.
VThread* thread_of(pthread_t thread) noexcept;
/// The calling OS thread becomes carrier 0 and its thread virtual; 0 or -errno. The caller is the main OS thread, in a section.
int main_join() noexcept;
/// A blocking call of the caller's begins: what handlers ran before it don't count. Nothing but on main.
void main_call_begins(VThread* v) noexcept;
/// Has a handler run that ends the call under way?
bool main_is_interrupted(const MainThread* m, Interrupt interrupt) noexcept;
/// Signals wait for main, which is at home on c: who runs there makes room. @signal safe
bool main_wants_room(const Carrier* c) noexcept;
/// Ends main's wait if signals have come for it, or a handler has run that does. @thread the main OS thread, with no runtime lock held below
void main_interrupt(Carrier* c) noexcept;

/// From here on the unwinding of main by pthread_exit(3) or cancellation leads to vt_main_ended() instead of the end of its OS thread.
void main_prepare_exit() noexcept;
/// A virtual thread has ended and none is left: main may wait for that.
void main_notice_last() noexcept;

/// Main waits in its ring, for ever, and is the last that needs it: its call shall go to the kernel instead. @thread monitor
void main_ask_native() noexcept;
/// @thread carrier 0's loop
void main_go_native(Carrier* c) noexcept;
/// A handler of main's runs, perhaps in the middle of a call into the runtime, which goes on as main's, however long that takes. @thread monitor
bool main_is_in_handler() noexcept;
/// From here on main begins no wait that needs its carrier. False: it may be in one, or on its way. @thread monitor
bool main_stops_parking() noexcept;
/// The runtime goes on after all. @thread monitor
void main_parks_again() noexcept;
/// The runtime ends: its carrier has nothing to do, and main_stops_parking(). Main may be on its way into a call, as a virtual thread: it finds a carrier that
/// has left, in the section that it needs for a wait. @thread monitor
void main_leave() noexcept;
/// The caller is main, and that has happened.
bool main_has_left() noexcept;
/// As a call begins: then it's a platform thread.
void main_settle() noexcept;

/// In a forked child: its only thread is a platform thread.
void main_after_fork() noexcept;

}  // namespace vt
