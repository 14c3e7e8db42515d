// Every virtual thread's unit by slot: tids are made of slots, and tools and maintenance walk them. Layer: core.
// Slots are never given back to the system, so a reader needs no lock. Lock rank: kPool (writers).
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

namespace vt {

struct VThread;

/// Above every tid that the kernel can give (pid_max is at most 2^22), below FUTEX_TID_MASK (2^30).
inline constexpr pid_t kVirtualTidBase = 1 << 28;
inline constexpr uint32_t kMaxSlots = 1 << 24;

/// Takes a slot for a new unit. False: no memory, or too many.
bool registry_add(VThread* thread, uint32_t* slot) noexcept;
VThread* registry_at(uint32_t slot) noexcept;  // null beyond the end
uint32_t registry_count() noexcept;
void registry_each_area(void (*visit)(char* tp, void* arg), void* arg) noexcept;

}  // namespace vt
