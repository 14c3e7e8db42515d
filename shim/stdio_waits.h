// stdio's waits: see stdio.cpp.
#pragma once

namespace vt::shim {

/// From here on streams' reads and writes park on virtual threads. Once, with the first thread. @thread any
void stdio_take_over() noexcept;

}  // namespace vt::shim
