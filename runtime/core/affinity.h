// CPU affinity of virtual threads: sched_setaffinity(2), pthread_setaffinity_np(3). A thread with a set of its own binds its
// carrier to it each time it is mounted; the next thread without one unbinds the carrier. Layer: core.
#pragma once

#include <sched.h>
#include <stddef.h>

namespace vt {

struct Carrier;
struct VThread;

/// Notes the process's set, which threads without one of their own run on. @thread platform, at the runtime's start
void affinity_begin() noexcept;
/// A carrier's first act: its creator may have been bound. @thread the new OS thread
void affinity_new_carrier() noexcept;
/// The mount of a thread that has a set, or on a carrier that is bound: from here on the OS thread obeys `v`'s. @thread carrier
void affinity_apply(Carrier* c, VThread* v) noexcept;
/// What the kernel makes of `set`: 0, or -EINVAL where it holds no CPU that there is. @thread any in user context
int affinity_judge(cpu_set_t* set) noexcept;
/// What a new thread inherits: its creator's, or that of `attr` if it isn't null.
void affinity_inherit(VThread* v, const cpu_set_t* attr) noexcept;
/// A platform thread has changed its own: from here on each creation by one asks the kernel.
void affinity_note_platform() noexcept;

}  // namespace vt
