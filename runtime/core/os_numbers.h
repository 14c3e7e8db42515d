// Numbers that Linux keeps per OS thread and that a virtual thread only remembers: nice value, timer slack. Layer: core. Locks: none.
#pragma once

namespace vt {
struct VThread;
/// A new thread gets its creator's. @thread any in user context
void os_numbers_inherit(VThread* v) noexcept;
/// Its creator's name.
void name_inherit(VThread* v) noexcept;
/// The policy and priority that a thread of the caller's begins with.
void policy_inherit(int* policy, int* priority) noexcept;
/// What the kernel would say of these: 0, -EINVAL, -EPERM.
int policy_judge(int policy, int priority) noexcept;

}  // namespace vt
