// VTSHIM_PIN=callback for CPython 3.8 and later: do C frames that called back into Python stand on this thread's stack?
#pragma once

namespace vt::python {

/// Called by each creation of a thread under VTSHIM_PIN=callback, until Python is known. @thread any in user context
void prepare(void* (*start)(void*)) noexcept;

}  // namespace vt::python
