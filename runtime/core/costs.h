// What a system call and a mount cost on this host, ns: by these io/ chooses between a call of its own and a place in the ring's next batch.
// Measured once: some 40 us at the first carrier's start, and the first mounts. Layer: core.
#pragma once

#include <stdint.h>

#include <atomic>

namespace vt {

struct Costs {
  std::atomic<uint32_t> syscall{0};
  std::atomic<uint32_t> mount{UINT32_MAX};   // the least of the first ones, with their reading of the clock
  std::atomic<uint32_t> mounts_to_time{16};
};
extern Costs costs;

/// @thread any; later calls do nothing
void costs_measure() noexcept;
/// A mount took so long. @thread scheduler
void costs_note_mount(uint64_t ns) noexcept;

/// A thread that leaves its operation to the next batch pays for a mount and a submission, else for a system call. That costs several times
/// what an empty one does: HACKING.md, "Batches", has the figures from which the factor comes.
inline bool batch_pays() noexcept {
  return costs.mount.load(std::memory_order_relaxed) < 2 * costs.syscall.load(std::memory_order_relaxed);
}

}  // namespace vt
