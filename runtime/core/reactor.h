// A carrier's io_uring: submissions in batches, completions, the wake-up from other threads. Layer: core (the operations
// are in io/). @thread scheduler, unless said otherwise.
//
// The ring is SINGLE_ISSUER | DEFER_TASKRUN: completions are made only while the owner is in io_uring_enter for them, so a
// system call that a program makes behind our back is never interrupted on a completion's account. The price: a carrier that
// computes or blocks for long doesn't see its finished I/O. The monitor then sends it a signal whose handler reaps (carrier.cpp).
#pragma once

#include <liburing.h>
#include <stdint.h>

#include <atomic>

#include "core/readiness_reactor.h"

namespace vt {

struct Carrier;

/// One submission in flight. The kernel holds its address until `complete` runs.
struct IoOp {
  void (*complete)(IoOp* op, int result, Carrier* here) = nullptr;
  Watch* watch;  // its submission, where there is no ring
};

/// Every reactor is one on readiness (core/readiness_reactor.h). Decided as the first is opened.
extern bool by_readiness;

/// The kernel has IORING_OP_EPOLL_WAIT (linux 6.15; liburing 2.3 doesn't know it): each ring asks as it's opened.
extern std::atomic<bool> uring_has_epoll_wait;
inline constexpr uint8_t kOpEpollWait = 59;

class Reactor {
 public:
  /// 0 or -errno. On the carrier's own OS thread: the ring belongs to it. Where descriptors are short the program's come before those of a ring that isn't `needed`.
  int open(bool needed) noexcept;
  void close() noexcept;
  /// In a forked child: the parent's descriptors.
  void abandon() noexcept;

  /// A slot in the submission queue, zeroed. Null where the kernel takes no more for now.
  io_uring_sqe* sqe() noexcept;
  /// Counts `op` as in flight; the caller has filled the sqe.
  void track(io_uring_sqe* sqe, IoOp* op) noexcept {
    if (__builtin_expect(by_readiness, 0)) return readiness_.track(sqe, op);
    sqe->user_data = (uint64_t)op;
    __atomic_store_n(&in_flight_, in_flight_ + 1, __ATOMIC_RELAXED);
  }
  /// Asks for an early end of `op`, which still completes.
  void cancel(IoOp* op) noexcept;

  /// Asks for an early end of everything. The kernel looks at each operation for each: for some hundred at the most.
  void cancel_all() noexcept;

  /// Submits and collects what is finished, without waiting.
  void poll(Carrier* here) noexcept;
  /// Handles what lies in the completion queue; no syscall. True if there was something.
  bool reap(Carrier* here) noexcept;
  /// Submits and waits for a completion, a wake() or `deadline` (ns, CLOCK_MONOTONIC).
  void wait(uint64_t deadline, Carrier* here) noexcept;
  /// Ends a wait(). @thread any @signal safe
  void wake() noexcept;

  /// Submits, if the batch is large, or its first has waited for long. @thread the owner, in a section
  void submit_in_time() noexcept;
  /// Do turns follow each other so quickly that what waits for the next batch doesn't wait long?
  bool quick() const noexcept { return pace_ < kQuick; }
  bool has_unsubmitted() const noexcept { return by_readiness ? readiness_.has_unsubmitted() : io_uring_sq_ready(&ring_) != 0; }
  /// Operations that the kernel holds. A hint for others than the owner.
  uint32_t in_flight() const noexcept { return by_readiness ? readiness_.in_flight() : __atomic_load_n(&in_flight_, __ATOMIC_RELAXED); }

  uint64_t submissions = 0;  // io_uring_enter calls that submitted, or passes of a reactor on readiness
  uint64_t operations = 0;

 private:
  int open_ring(bool needed) noexcept;
  void arm_wake() noexcept;
  bool arm_timer(uint64_t deadline) noexcept;
  void pass_ends(Carrier* here) noexcept;
  void pass_begins(Carrier* here) noexcept;
  int entered(int result) noexcept;
  void wait_without_ring(uint64_t deadline, Carrier* here) noexcept;

  io_uring ring_{};
  bool opened_ = false;
  int refused_ = 0;  // the errno of an enter that a seccomp filter refuses, which came when the ring was open already; 0: none
  uint32_t in_flight_ = 0;
  int wake_fd_ = -1;
  uint64_t wake_count_ = 0;
  bool wake_armed_ = false;
  static constexpr uint64_t kQuick = 60'000, kLongWait = 200'000;  // ns
  uint64_t pace_ = 0;        // how long a thread runs between two switches, on average, ns; measured where batch_pays()
  uint64_t pass_began_ = 0;  // ns; 0: not measured
  uint64_t entered_ = 0;     // the last enter's end, ns
  uint64_t switches_then_ = 0;
  // One timeout operation stays in the ring from wait to wait, since to set and take back a timer of the kernel's for each costs more
  // than all the rest of a wait on some hosts. It may come too early: nobody takes it back when its deadline isn't wanted any more.
  uint64_t timer_at_ = UINT64_MAX;  // when it ends, ns, CLOCK_MONOTONIC; UINT64_MAX: there is none
  __kernel_timespec timer_spec_{};
  ReadinessReactor readiness_;
};

}  // namespace vt
