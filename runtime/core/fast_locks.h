// May the shim take uncontended locks by itself (sync/fast.h)? Layer: core.
#pragma once

namespace vt {

/// Filled once at boot; `on` stays false in chaos mode and where the threads stay native.
struct FastLocks {
  bool on = false;
  long tid = 0;  // of struct pthread, from the thread pointer
};
extern FastLocks fast_locks;

}  // namespace vt
