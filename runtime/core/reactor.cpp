#include "core/reactor.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/assert.h"
#include "base/config.h"
#include "base/log.h"
#include "core/carrier.h"
#include "core/costs.h"
#include "core/refusal.h"
#include "sys/clock.h"
#include "sys/descriptors.h"
#include "sys/raw.h"

#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

namespace vt {

std::atomic<bool> uring_has_epoll_wait{false};
bool by_readiness = false;

namespace {
constexpr unsigned kEntries = 256;        // submissions between two enters
constexpr unsigned kMostWaiting = 32;     // a batch of so many costs nearly as little a piece as a full one, and the first doesn't wait long
constexpr unsigned kCompletions = 4096;   // the kernel keeps what overflows
constexpr uint64_t kIgnored = 0, kWake = 1, kTimer = 2;  // user_data that is no IoOp

int set_up(io_uring* ring, unsigned flags) noexcept {
  io_uring_params params;
  memset(&params, 0, sizeof params);
  params.flags = flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
  params.cq_entries = kCompletions;
  return io_uring_queue_init_params(kEntries, ring, &params);
}

void probe(io_uring* ring) noexcept {
  alignas(io_uring_probe) char memory[sizeof(io_uring_probe) + 256 * sizeof(io_uring_probe_op)];
  memset(memory, 0, sizeof memory);
  auto* p = (io_uring_probe*)memory;
  if (io_uring_register_probe(ring, p, 256) == 0)
    uring_has_epoll_wait.store(p->last_op >= kOpEpollWait && (p->ops[kOpEpollWait].flags & IO_URING_OP_SUPPORTED), std::memory_order_relaxed);
}
}  // namespace

int Reactor::open(bool needed) noexcept {
  static bool decided = false;
  if (!decided && config.reactor == ReactorKind::kReadiness) by_readiness = true;
  int r = by_readiness ? 0 : open_ring(needed);
  // With descriptors or memory short a ring may be had later, and for the others.
  bool refused = r < 0 && r != -EMFILE && r != -ENFILE && r != -ENOMEM && r != -EAGAIN;
  if (!decided && refused && config.reactor == ReactorKind::kAuto) {
    refusal_tell_other_way(-r);
    by_readiness = true;
  }
  if (by_readiness) r = readiness_.open(needed);
  if (r >= 0) decided = true;
  return r;
}

int Reactor::open_ring(bool needed) noexcept {
  int r = set_up(&ring_, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
  if (r == -EINVAL) r = set_up(&ring_, IORING_SETUP_COOP_TASKRUN);  // before linux 6.1
  if (r == -EINVAL) r = set_up(&ring_, 0);
  if (r < 0) return refusal_note_call("io_uring_setup"), r;
  r = sys::move_up(ring_.ring_fd, needed);
  if (r < 0) {
    io_uring_queue_exit(&ring_);
    return r;
  }
  ring_.ring_fd = ring_.enter_ring_fd = r;
  io_uring_ring_dontfork(&ring_);
  io_uring_register_ring_fd(&ring_);  // an enter then looks nothing up; if it can't be had, all goes as without
  probe(&ring_);
  int wake = (int)sys::raw(SYS_eventfd2, 0, EFD_CLOEXEC);
  wake_fd_ = sys::move_up(wake, needed);
  if (wake_fd_ < 0) {
    if (wake >= 0) sys::raw(SYS_close, wake);
    sys::own(ring_.ring_fd, false);
    io_uring_queue_exit(&ring_);
    return wake_fd_;
  }
  opened_ = true;
  refused_ = 0;
  arm_wake();
  r = entered(io_uring_submit(&ring_));  // a filter may permit the set-up and not this
  if (r >= 0) return 0;
  refusal_note_call("io_uring_enter");
  close();
  return r;
}

/// What an enter came to. Where a filter that came meanwhile refuses it, it will never be permitted again.
int Reactor::entered(int result) noexcept {
  if (__builtin_expect(result < 0, 0) && (result == -EPERM || result == -ENOSYS || result == -EACCES)) refused_ = -result;
  return result;
}

/// Waits for a wake() or `deadline`, so timers, locks and threads that compute go on. What the kernel never took fails with the enter's error.
/// What it has taken doesn't come back: it completes in an enter of ours.
void Reactor::wait_without_ring(uint64_t deadline, Carrier* here) noexcept {
  refusal_tell_late(refused_);
  unsigned first = *ring_.sq.khead, end = ring_.sq.sqe_tail, mask = *ring_.sq.kring_mask;
  uint64_t failed[kEntries];
  unsigned n = 0;
  for (unsigned i = first; i != end && n < kEntries; ++i) failed[n++] = ring_.sq.sqes[i & mask].user_data;
  ring_.sq.sqe_head = ring_.sq.sqe_tail = first;
  *ring_.sq.ktail = first;
  for (unsigned i = 0; i < n; ++i) {
    if (failed[i] == kIgnored || failed[i] == kWake || failed[i] == kTimer) continue;
    __atomic_store_n(&in_flight_, in_flight_ - 1, __ATOMIC_RELAXED);
    auto* op = (IoOp*)failed[i];
    op->complete(op, -refused_, here);
  }
  if (n || reap(here)) return;
  timespec limit = sys::time_until(deadline);
  pollfd p{wake_fd_, POLLIN, 0};
  long r = sys::raw(SYS_ppoll, &p, 1, deadline == sys::kForever ? nullptr : &limit, nullptr, 8);
  uint64_t count;
  if (r > 0) sys::raw(SYS_read, wake_fd_, &count, sizeof count);
}

void Reactor::close() noexcept {
  if (by_readiness) return readiness_.close();
  VT_ASSERT(in_flight_ == 0);
  sys::own(ring_.ring_fd, false);
  io_uring_queue_exit(&ring_);  // ends the wake-up read, too
  sys::close_own(wake_fd_);
  opened_ = wake_armed_ = false;
  timer_at_ = sys::kForever;
}

void Reactor::abandon() noexcept {
  if (by_readiness) return readiness_.abandon();
  if (!opened_) return;
  sys::close_own(ring_.ring_fd);
  sys::close_own(wake_fd_);
  opened_ = false;
}

io_uring_sqe* Reactor::sqe() noexcept {
  if (__builtin_expect(by_readiness, 0)) {
    ++operations;
    return readiness_.sqe();
  }
  io_uring_sqe* s = io_uring_get_sqe(&ring_);
  for (int tries = 0; !s && tries < 3; ++tries) {  // full: hand the batch over
    ++submissions;
    entered(io_uring_submit(&ring_));
    s = io_uring_get_sqe(&ring_);
  }
  if (s) {
    memset(s, 0, sizeof *s);
    ++operations;
  }
  return s;
}

void Reactor::arm_wake() noexcept {
  if (wake_armed_) return;
  io_uring_sqe* s = sqe();
  if (!s) return;  // the next wait tries again
  io_uring_prep_read(s, wake_fd_, &wake_count_, sizeof wake_count_, 0);
  s->user_data = kWake;
  wake_armed_ = true;
}

/// False: no room.
bool Reactor::arm_timer(uint64_t deadline) noexcept {
  if (deadline >= timer_at_) return true;
  io_uring_sqe* s = sqe();
  if (!s) return false;
  timer_spec_ = {(int64_t)(deadline / sys::kSecond), (long long)(deadline % sys::kSecond)};
  if (timer_at_ == sys::kForever) {
    io_uring_prep_timeout(s, &timer_spec_, 0, IORING_TIMEOUT_ABS);
    s->user_data = kTimer;
  } else {  // if it has just ended there is nothing to move, and that it has ends the wait
    io_uring_prep_timeout_update(s, &timer_spec_, kTimer, IORING_TIMEOUT_ABS);
    s->flags |= IOSQE_CQE_SKIP_SUCCESS;
    s->user_data = kIgnored;
  }
  timer_at_ = deadline;
  return true;
}

void Reactor::cancel(IoOp* op) noexcept {
  if (__builtin_expect(by_readiness, 0)) return readiness_.cancel(op);
  io_uring_sqe* s = sqe();
  if (!s && refused_) return;  // nothing is in the kernel's hands but what stays there
  VT_CHECK(s);
  s->opcode = IORING_OP_ASYNC_CANCEL;
  s->fd = -1;
  s->addr = (uint64_t)op;
  s->user_data = kIgnored;
}

void Reactor::cancel_all() noexcept {
  if (__builtin_expect(by_readiness, 0)) return readiness_.cancel_all();
  constexpr unsigned kAll = 1 << 0, kAny = 1 << 2;  // IORING_ASYNC_CANCEL_ALL, _ANY: linux 5.19
  io_uring_sqe* s = sqe();
  if (!s) return;
  s->opcode = IORING_OP_ASYNC_CANCEL;
  s->fd = -1;
  s->cancel_flags = kAll | kAny;
  s->user_data = kIgnored;
}

void Reactor::pass_ends(Carrier* here) noexcept {
  uint64_t turns = here->switches.load(std::memory_order_relaxed) - switches_then_;
  if (turns && pass_began_) pace_ = (3 * pace_ + (sys::now() - pass_began_) / turns) / 4;
}
void Reactor::pass_begins(Carrier* here) noexcept {
  entered_ = pass_began_ = batch_pays() ? sys::now() : 0;
  switches_then_ = here->switches.load(std::memory_order_relaxed);
}

void Reactor::submit_in_time() noexcept {
  if (__builtin_expect(by_readiness, 0)) return readiness_.submit();
  unsigned waiting = io_uring_sq_ready(&ring_);
  if (waiting < kMostWaiting && (!waiting || sys::now() - entered_ < kLongWait)) return;
  ++submissions;
  entered(io_uring_submit(&ring_));
  entered_ = sys::now();
}

void Reactor::poll(Carrier* here) noexcept {
  if (__builtin_expect(by_readiness, 0)) {
    ++submissions;
    return readiness_.poll(here);
  }
  if (__builtin_expect(refused_, 0)) return wait_without_ring(0, here);
  if (has_unsubmitted()) ++submissions;
  pass_ends(here);
  entered(io_uring_submit_and_get_events(&ring_));
  pass_begins(here);
  reap(here);
}

bool Reactor::reap(Carrier* here) noexcept {
  if (__builtin_expect(by_readiness, 0)) return readiness_.reap(here);
  unsigned head, count = 0;
  io_uring_cqe* cqe;
  // Handlers may submit, never reap: one batch, then the ring's head moves.
  io_uring_for_each_cqe(&ring_, head, cqe) {
    ++count;
    if (cqe->user_data == kIgnored) continue;
    if (cqe->user_data == kWake) {
      wake_armed_ = false;
      continue;
    }
    if (cqe->user_data == kTimer) {
      timer_at_ = sys::kForever;
      continue;
    }
    __atomic_store_n(&in_flight_, in_flight_ - 1, __ATOMIC_RELAXED);
    auto* op = (IoOp*)cqe->user_data;
    op->complete(op, cqe->res, here);
  }
  if (count) io_uring_cq_advance(&ring_, count);
  return count != 0;
}

void Reactor::wait(uint64_t deadline, Carrier* here) noexcept {
  if (__builtin_expect(by_readiness, 0)) {
    ++submissions;
    return readiness_.wait(deadline, here);
  }
  if (__builtin_expect(refused_, 0)) return wait_without_ring(deadline, here);
  arm_wake();
  if (!wake_armed_) return poll(here);  // no room: a wait would be deaf
  if (deadline != sys::kForever && !arm_timer(deadline)) return poll(here);
  if (has_unsubmitted()) ++submissions;
  pass_ends(here);
  entered(io_uring_submit_and_wait(&ring_, 1));
  pass_begins(here);
  reap(here);
}

void Reactor::wake() noexcept {
  if (__builtin_expect(by_readiness, 0)) return readiness_.wake();
  uint64_t one = 1;
  sys::raw(SYS_write, wake_fd_, &one, sizeof one);
}

}  // namespace vt
