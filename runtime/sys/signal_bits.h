// Sets of signals in the kernel's form: bit N - 1 for signal N. Layer: sys.
#pragma once

#include <signal.h>
#include <stdint.h>

namespace vt::sys {

constexpr uint64_t bit(int signal) noexcept { return 1ull << (signal - 1); }
inline constexpr uint64_t kLibcSignals = bit(32) | bit(33);  // glibc's own: cancellation and setuid(2)
inline constexpr uint64_t kUnmaskable = bit(SIGKILL) | bit(SIGSTOP);

}  // namespace vt::sys
