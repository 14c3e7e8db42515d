// The C frames below a caller, by libgcc_s's unwinder: loaded only where somebody asks for it, since most programs have none. Layer: core.
#pragma once

#include <stdint.h>

namespace vt {

/// Loads the unwinder. False: there is none. @thread any in user context
bool backtrace_prepare() noexcept;
/// From the caller upward, `visit` gets each frame's program counter and the start of the function around it (0: unknown), until it
/// returns false. No lock, no allocation; nothing happens unless prepared. Code without unwind tables ends it early. @thread any
void backtrace_visit(bool (*visit)(uintptr_t pc, uintptr_t function, void* arg), void* arg) noexcept;

}  // namespace vt
