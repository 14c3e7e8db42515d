// The reactor where io_uring can't be had: it takes the same submissions and completes them by an epoll instance and calls that don't
// wait. A submission is armed once (EPOLLONESHOT); when its descriptor is ready the carrier makes the call, under the lock of the
// descriptor's bucket, so that a close in between can't lead it to another file. Layer: core. @thread scheduler, unless said otherwise.
#pragma once

#include <liburing.h>
#include <stdint.h>

namespace vt {

struct Carrier;
struct IoOp;
struct Watch;

/// Result of a submission that can't wait for readiness (a regular file, a descriptor that epoll refuses) or can't be asked not to
/// wait: the caller makes the call by itself.
inline constexpr int kInPerson = -4093;

class ReadinessReactor {
 public:
  /// 0 or -errno: an epoll instance and an eventfd. As Reactor::open().
  int open(bool needed) noexcept;
  void close() noexcept;
  /// In a forked child: the parent's descriptors.
  void abandon() noexcept;

  /// As Reactor's: IORING_OP_POLL_ADD, _READ, _READV, _RECV and _RECVMSG are known.
  io_uring_sqe* sqe() noexcept;
  void track(io_uring_sqe* sqe, IoOp* op) noexcept;
  void cancel(IoOp* op) noexcept;
  void cancel_all() noexcept;

  void submit() noexcept;
  void poll(Carrier* here) noexcept;
  bool reap(Carrier* here) noexcept;
  void wait(uint64_t deadline, Carrier* here) noexcept;
  /// @thread any @signal safe
  void wake() noexcept;

  bool has_unsubmitted() const noexcept { return submitted_ != nullptr; }
  uint32_t in_flight() const noexcept { return __atomic_load_n(&in_flight_, __ATOMIC_RELAXED); }

 private:
  friend struct WatchTable;
  bool grow() noexcept;
  void arm(Watch* w) noexcept;
  void finish(Watch* w, int result) noexcept;
  void drop(Watch* w) noexcept;
  /// What the kernel has to tell, at most until `deadline` (0: without waiting); true if there was something.
  bool collect(uint64_t deadline, Carrier* here) noexcept;
  long ask(struct epoll_event* events, int most, uint64_t deadline) noexcept;
  void dispatch(uint64_t data, uint32_t ready) noexcept;

  int epoll_ = -1, wake_ = -1;
  uint32_t in_flight_ = 0;
  Watch* submitted_ = nullptr;  // in order; their ends
  Watch** submitted_end_ = &submitted_;
  Watch* finished_ = nullptr;
  Watch** finished_end_ = &finished_;
  Watch* own_ = nullptr;   // those that are armed
  Watch* free_ = nullptr;
};

/// The descriptor's number is about to be given up while waits may be on it, as the kernel's own would hold the file: they go on by a number of ours.
/// @thread any in user context @locks a bucket's
void readiness_keep(int fd) noexcept;
void readiness_keep_range(unsigned first, unsigned last) noexcept;
/// In a forked child.
void readiness_after_fork() noexcept;

}  // namespace vt
