// Numbers that Linux keeps per OS thread and that a virtual thread only remembers: nice value, timer slack. Layer: core. Locks: none.
#pragma once

namespace vt {
struct VThread;
/// A new thread gets its creator's. @thread any in user context
void os_numbers_inherit(VThread* v) noexcept;
/// Its creator's name.
void name_inherit(VThread* v) noexcept;
}  // namespace vt
