#include "core/costs.h"

#include "base/log.h"
#include "sys/clock.h"
#include "sys/raw.h"

namespace vt {

Costs costs;

void costs_measure() noexcept {
  constexpr unsigned kBatches = 4, kCalls = 8;  // the least of some: what disturbs only adds
  if (costs.syscall.load(std::memory_order_relaxed)) return;
  uint64_t least = UINT32_MAX;
  for (unsigned i = 0; i < kBatches; ++i) {
    uint64_t start = sys::now();
    for (unsigned n = 0; n < kCalls; ++n) sys::raw(SYS_getppid);
    uint64_t took = (sys::now() - start) / kCalls;
    if (took < least) least = took;
  }
  costs.syscall.store((uint32_t)least + 1, std::memory_order_relaxed);
}

void costs_note_mount(uint64_t ns) noexcept {
  uint32_t left = costs.mounts_to_time.load(std::memory_order_relaxed);
  if (!left) return;
  costs.mounts_to_time.store(left - 1, std::memory_order_relaxed);
  if (ns < costs.mount.load(std::memory_order_relaxed)) costs.mount.store((uint32_t)ns, std::memory_order_relaxed);
  if (left == 1)
    VT_LOG(kInfo, "a system call costs %u ns, a mount %u", costs.syscall.load(std::memory_order_relaxed), costs.mount.load(std::memory_order_relaxed));
}

}  // namespace vt
