// Mutexes that are libc's own and whose owner is known by its OS thread. Layer: sync; core calls this at a thread's end.
#pragma once

namespace vt {

struct VThread;

/// The robust mutexes that a thread leaves behind are its heirs' to recover, as the kernel does it for an OS thread. @thread vthread, its last
/// act with its area mounted
void foreign_thread_ends(VThread* v) noexcept;

}  // namespace vt
