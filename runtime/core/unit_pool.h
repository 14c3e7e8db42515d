// Units: one mapping that holds a virtual thread's guard, stack, VThread and thread area, recycled for good.
//
//   low                                                                                               high
//   | resolver (1 page) | guard (1 page) | stack, grows down ...      | VThread | static TLS | struct pthread |
//
// A thread that waits has touched two pages, those of its thread area and of its VThread with the first 3 KiB of stack below it; HACKING.md has the
// account. What few threads need is therefore not in the VThread: the resolver's state.
// Reserved lazily (MAP_NORESERVE, no huge pages), in slabs so that 100,000 of them are few kernel mappings; the guard is
// MADV_GUARD_INSTALL where the kernel has it (no mapping of its own), else mprotect. Layer: core. Lock rank: kPool.
#pragma once

#include <resolv.h>
#undef p_type  // resolv.h's macro is in the way of ElfW(Phdr)
#include <stddef.h>
#include <stdint.h>

namespace vt {

struct VThread;

/// To be called once thread_area_probe() has succeeded.
void unit_pool_init() noexcept;

/// A unit whose stack has at least `stack` bytes, with a thread area as new. Null: no memory. @thread any, user context
VThread* unit_acquire(size_t stack) noexcept;
/// Back to the pool. The thread must be off its stack. @thread any, scheduler too
void unit_release(VThread* thread) noexcept;

/// What unit_pool_give_back() would still do: nothing, something in a second, more of the same.
enum class PoolRest { kNothing, kLater, kNow };
/// Gives the stacks' memory of units that nobody has used for a second or two back to the system, for a millisecond at most. @thread monitor
PoolRest unit_pool_give_back(uint64_t now) noexcept;

VThread* vthread_of(char* tp) noexcept;
/// The first address behind a unit's memory: its stack, then its VThread and its thread area.
char* unit_end(const VThread* v) noexcept;
/// The resolver's state of a unit's thread. All zeros until used.
res_state unit_resolver(VThread* thread) noexcept;

/// In the child of fork, whatever others did to the pool at that moment: every unit but `keep`'s is free again, and libc's blocks in them aren't to be
/// trusted.
void unit_pool_after_fork(VThread* keep) noexcept;

}  // namespace vt
