// A virtual futex(2) on private memory, and sleeping. Layer: sync.
#include <errno.h>

#include "api.h"
#include "base/config.h"
#include "core/scheduler.h"
#include "core/wait_table.h"

namespace vt {

int futex_wait(const uint32_t* word, uint32_t expected, clockid_t clock, const timespec* deadline) noexcept {
  if (deadline && !sys::valid(*deadline)) return -EINVAL;
  main_call_begins(current());
  RuntimeSection section;
  WaitNode node(section.self_ptr(), ParkReason::kFutex);
  Bucket& b = bucket_of(word);
again:
  {
    LockGuard guard(b.lock);
    // seq_cst: a waker stores the word, then takes this lock
    if (__atomic_load_n(word, __ATOMIC_SEQ_CST) != expected) return -EAGAIN;
    b.push_back(&node, word);
  }
  switch (wait_on(node, clock, deadline, deadline ? Interrupt::kAlways : Interrupt::kUnlessRestart)) {
    case WaitResult::kTimedOut: return -ETIMEDOUT;
    case WaitResult::kInterrupted: return -EINTR;
    case WaitResult::kAgain: goto again;
    default: return 0;
  }
}

int futex_wake(const uint32_t* word, int count) noexcept {
  RuntimeSection section;
  return wake_all(word, ParkReason::kFutex, count, carrier_here());
}

int sleep_until(clockid_t clock, const timespec& deadline, bool in_call) noexcept {
  if (!sys::valid(deadline)) return -EINVAL;
  if (!in_call) main_call_begins(current());
  do {
    RuntimeSection section;
    WaitNode node(section.self_ptr(), ParkReason::kSleep);
    node.cancellable = true;
    Bucket& b = bucket_of(&node);
    {
      LockGuard guard(b.lock);
      b.push_back(&node, &node);
    }
    if (wait_on(node, clock, &deadline, Interrupt::kAlways) == WaitResult::kInterrupted) return -EINTR;
  } while (sys::now_on(clock) < sys::to_ns(deadline));  // a clock that was set back
  return 0;
}

}  // namespace vt
