// OS threads on which announced blocking calls run, so that no carrier is ever lost to one: the virtual thread itself moves
// there, stack and thread area, makes the call, and moves back. They have no ring and no queue, so whatever they block in,
// nobody else waits for them. Layer: core. Lock rank: kBlocking. HACKING.md: "Announced blocking".
#pragma once

#include <stdint.h>

namespace vt {

struct VThread;

/// Makes sure that a thread waits for the caller's push. kNo: none can be started by now; the caller then blocks its carrier, and the monitor
/// compensates. kFull: the system gives no more, nor could the monitor compensate. kLater: the starter is making one; `asked` is the caller's, 0 at first,
/// and tells that it has asked. @thread vthread, monitor
enum class Claim : uint8_t { kYes, kNo, kFull, kLater };
Claim blocking_claim(uint32_t* asked) noexcept;
/// Starts those. True if there was something to do. @thread the starter
bool blocking_start_asked() noexcept;
/// Gives a claim back unused. @thread any
void blocking_unclaim() noexcept;
/// @thread scheduler
void blocking_push(VThread* v) noexcept;

/// The caller goes to such a thread, and stays until it parks. False also if it's pinned, or on one. @thread vthread, not in a section @parks
bool blocking_move() noexcept;
/// The caller, whose own code goes on on such a thread (an event loop, or ejected), goes back to a carrier: it is about to bind itself to its OS
/// thread, and nothing that waits comes back to this one. @thread vthread @parks
void blocking_leave() noexcept;

/// For a thread that ends: a cancellation may have unwound it out of a call that is counted. @thread v
void blocking_call_ends(VThread* v) noexcept;
unsigned blocking_threads_started() noexcept;
unsigned blocking_threads_alive() noexcept;
void blocking_after_fork() noexcept;

}  // namespace vt
