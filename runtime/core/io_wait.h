// A virtual thread's wait for one or several submissions: it parks until all have completed. With a deadline or a second
// submission, what is left when the first completes (or time is up) is cancelled by the carrier that owns the ring, and an
// operation that completed while it was being cancelled keeps its result. Layer: core.
#pragma once

#include "core/reactor.h"
#include "core/timer_heap.h"
#include "core/vthread.h"

namespace vt {

struct IoWait;

struct IoEntry : IoOp {
  IoWait* wait = nullptr;
  int result = 0;
  bool pending = false;
};

struct IoWait {
  VThread* owner;
  Carrier* home;         // whose ring holds the entries
  IoEntry* entries;
  uint32_t count;
  uint32_t pending = 0;
  uint32_t waited = 0;   // how many were submitted; the descriptors of the first are for the registry
  int fds[4] = {};
  bool cancelled = false;
  bool timed_out = false;
  bool has_deadline = false;
  bool go_native = false;    // main's: the call shall be made by libc (kGoNative, api.h)
  bool interrupted = false;  // the call ends: a handler ran, or the thread was cancelled
  Timer timer;
  IoWait* next_mail = nullptr;  // under home->mail_lock
  bool mailed = false;

  /// To be made in the RuntimeSection in which everything up to park() happens: the carrier must not change.
  IoWait(VThread* v, IoEntry* e, uint32_t n) noexcept : owner(v), home(v->carrier), entries(e), count(n) {}

  /// The next submission, to be filled by the caller. Null: the ring takes no more.
  io_uring_sqe* submit(uint32_t index) noexcept;
  /// io_uring's prep functions clear user_data; after them:
  void track(io_uring_sqe* sqe, uint32_t index) noexcept;
  /// Parks until nothing is pending. `deadline`: ns, CLOCK_MONOTONIC. A signal handler ends it, if there is a deadline or
  /// `always`, or if it was installed without SA_RESTART; after another one what was cancelled is to be submitted anew. @parks
  void finish(ParkReason reason, uint64_t deadline, bool always = false) noexcept;
  /// @thread scheduler of `home`
  void cancel_rest() noexcept;
};

/// c computes or waits for long: what its ring holds is to start again elsewhere. Of much I/O a part goes at a time.
/// @thread scheduler of c; in a handler, too
void io_waits_move(Carrier* c) noexcept;
/// Cancels the waits that others have put into c's mail. @thread scheduler of c
void cancel_mailed(Carrier* c) noexcept;

}  // namespace vt
