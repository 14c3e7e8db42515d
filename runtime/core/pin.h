// Pins: a thread that must come back to the OS thread that it is on, and has it to itself meanwhile. Layer: core.
//
// While a pinned thread is off its carrier (parked, or runnable and not running), the carrier is *reserved*: it runs only threads that can
// run nowhere else (stays()), its queue goes to the common queue, from which open carriers take, and its ring and timers go on, so
// that what completes there for others is theirs at once. Carrier::reserved counts its pinned threads that are off; only its own OS thread
// writes it.
//
// What may race, and why it ends well:
// - Somebody saw the carrier open and pushes into its queue while it becomes reserved. The push is followed by the look at `idle` and
//   the wake, as always (the idle protocol), and the loop of a reserved carrier hands over what it finds in its queue.
// - Somebody pushes into the common queue (stores its size), then looks for an open carrier; the last open one becomes reserved or
//   leaves (stores `reserved`, `gone`), then looks at the common queue's size. All seq_cst: one of them sees the other, and asks for a carrier.
// - The same with an open carrier that goes to sleep: it stores idle, then looks at the common queue's size.
// - The wake-up of the pinned thread itself is a push into its carrier's queue, by which a reserved carrier is woken like any other.
#pragma once

#include <stdint.h>

#include "core/carrier.h"

namespace vt {

/// api.h's pin() and unpin(), whatever VTSHIM_PIN says: for what is the kernel's by the OS thread (sync/foreign.cpp).
int pin_always() noexcept;
int unpin_always() noexcept;

/// Runnable threads that found no carrier open to them.
extern RunQueue common_queue;
/// No OS thread could be had for the others: pinned threads still come back to theirs, but share it. The monitor's.
extern std::atomic<bool> pins_give_way;

/// Does it run whoever is queued? A hint for all but its own OS thread.
inline bool is_open(const Carrier* c) noexcept {
  return c->reserved.load(std::memory_order_seq_cst) == 0 || pins_give_way.load(std::memory_order_relaxed);
}
unsigned open_carriers() noexcept;

/// `v` is about to leave its carrier, pinned. On v's stack. @thread vthread
void reserve(Carrier* c, VThread* v) noexcept;
/// `v`, for which it may be reserved, takes it again. @thread scheduler of c
void unreserve(Carrier* c, VThread* v) noexcept;
/// All in c's queue that can run elsewhere goes there. @thread any
void hand_over(Carrier* c) noexcept;
/// A runnable thread for whichever open carrier comes first. @thread any
void offer(VThread* v) noexcept;
/// Makes sure that somebody comes for what is in the common queue. @thread any @signal safe
void wake_for_common() noexcept;

/// VTSHIM_PIN=callback: pinned for one park, if the hook says so. Around a park.
class CallbackPin {
 public:
  explicit CallbackPin(VThread* v) noexcept : v_(__builtin_expect(wanted(), 0) && ask(v) ? v : nullptr) {}
  ~CallbackPin() {
    if (__builtin_expect(v_ != nullptr, 0)) end();
  }
  CallbackPin(const CallbackPin&) = delete;
  CallbackPin& operator=(const CallbackPin&) = delete;

 private:
  static bool wanted() noexcept;
  static bool ask(VThread* v) noexcept;
  void end() noexcept;
  VThread* v_;
};
/// Would its park be a pinned one? @thread vthread
bool pinned_now(VThread* v) noexcept;

/// Around a blocking call of a pinned thread on its own OS thread: nobody waits there meanwhile. @thread vthread, in a section
Carrier* block_pinned(VThread* v) noexcept;
void unblock_pinned(Carrier* c) noexcept;

/// The thread ends: its pins with it.
void pins_end(VThread* v) noexcept;
/// Main becomes virtual: pins that it took before count. @thread main
void pins_of_main(VThread* main) noexcept;
/// The monitor's part: serves the common queue, warns of long pins. True if it must look again soon.
bool pins_look(uint64_t now) noexcept;
void pins_after_fork(VThread* caller) noexcept;

}  // namespace vt
