// One submission and its wait, and vectors of which a part is done: for operations.cpp and writing.cpp. Layer: io.
#pragma once

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>

#include "api.h"
#include "base/config.h"
#include "core/io_wait.h"
#include "core/main_thread.h"
#include "core/scheduler.h"
#include "core/slot.h"

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

namespace vt {

/// The result of a try that may not block: it would have, or can't be asked.
inline constexpr long kUndecided = -4095;
/// Memory on a slot (core/slot.h) is somebody else's while the submission is under way: it goes to where its owner's contents are kept. True if any
/// was; slot_return() then ends it.
bool redirect(io_uring_sqe* sqe) noexcept;
/// Such memory behind pointers, where the submission can't be made so.
bool in_slot(const iovec* vector, int count) noexcept;
bool in_slot(const msghdr* m) noexcept;
bool is_socket(int fd) noexcept;

enum class Batch {
  kNext,    // the carrier's next one, when its queue is through
  kInTime,  // the same, but not when that has waited for long
  kOwn,     // what can be done at once is done at once, at the price of a submission of its own, and the caller goes on without a turn
};

/// One submission and its result. -EAGAIN for a deadline that passed. `fill(sqe)`. @parks
template <class Fill>
int submit_one(ParkReason reason, uint64_t deadline, Fill&& fill, Batch batch = Batch::kNext) noexcept {
  if (config.chaos) chaos_yield();
  main_call_begins(current());
  for (;;) {
    RuntimeSection section;
    VThread* v = current();
    if (!has_carrier(v)) return kGoNative;  // main, and the runtime stops
    if (v->carrier->is_blocking) {
      from_blocking_thread();
      continue;
    }
    IoEntry entry;
    IoWait wait(v, &entry, 1);
    io_uring_sqe* sqe = wait.submit(0);
    if (!sqe) {
      yield_now();
      continue;
    }
    fill(sqe);
    bool in_tls = swaps && redirect(sqe);
    wait.track(sqe, 0);
    if (batch == Batch::kOwn) v->carrier->reactor.poll(v->carrier);
    else if (batch == Batch::kInTime) v->carrier->reactor.submit_in_time();
    if (entry.pending) wait.finish(reason, deadline);
    else park(reason);  // done already: takes the notification that came with it
    if (__builtin_expect(in_tls, 0)) slot_return();
    if (entry.result == -ECANCELED || entry.result == -EINTR) {
      if (wait.timed_out) return -EAGAIN;
      if (wait.interrupted) return -EINTR;
      if (wait.go_native) return kGoNative;
      continue;  // the kernel gave up for reasons of its own: nothing was done
    }
    return entry.result;
  }
}

/// Copies the vector from its byte `done` on. Null: no memory.
struct Rest {
  iovec few[16];
  iovec* vector = few;
  int count = 0;
  ~Rest() {
    if (vector != few) free(vector);
  }
  bool from(const iovec* v, int n, size_t done) noexcept {
    if (n > 16 && vector == few && !(vector = (iovec*)malloc(sizeof(iovec) * (size_t)n))) return vector = few, false;
    count = 0;
    for (int i = 0; i < n; ++i) {
      if (done >= v[i].iov_len) {
        done -= v[i].iov_len;
        continue;
      }
      vector[count++] = {(char*)v[i].iov_base + done, v[i].iov_len - done};
      done = 0;
    }
    return true;
  }
};

/// The kernel does no more than that in one call.
inline constexpr size_t kMost = 0x7ffff000;

inline size_t total(const iovec* v, int n) noexcept {
  size_t sum = 0;
  for (int i = 0; i < n; ++i)
    if (__builtin_add_overflow(sum, v[i].iov_len, &sum)) return kMost;
  return std::min(sum, kMost);
}

}  // namespace vt
