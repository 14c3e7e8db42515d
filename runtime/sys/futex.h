// futex(2) on private memory, raw. Layer: sys. Any thread, signal safe.
#pragma once

#include <linux/futex.h>
#include <stdint.h>
#include <time.h>

#include <atomic>

#include "sys/raw.h"

namespace vt::sys {

/// Waits while *word == expected. 0, -EAGAIN, -EINTR, -ETIMEDOUT. `deadline` (absolute, null: for ever) is on
/// CLOCK_REALTIME if `realtime`, else on CLOCK_MONOTONIC.
inline long futex_wait(const std::atomic<uint32_t>* word, uint32_t expected, const timespec* deadline = nullptr,
                       bool realtime = false) noexcept {
  int op = FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG | (realtime ? FUTEX_CLOCK_REALTIME : 0);
  return raw(SYS_futex, word, op, expected, deadline, nullptr, FUTEX_BITSET_MATCH_ANY);
}

/// How many were woken. The word is only a key: it need not be mapped any more.
inline long futex_wake(const std::atomic<uint32_t>* word, int count) noexcept {
  return raw(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count);
}

}  // namespace vt::sys
