// ld.so's lock around what new static TLS needs, which glibc's pthread_create takes. A virtual thread may be off its carrier while it holds it:
// ejected inside dlopen, or parked on a mutex of a foreign malloc that ld.so called. Who must get on for everybody, the monitor first of all,
// tries for it and makes no OS thread now if it can't have it: to wait there could be to wait for oneself. Layer: core.
#pragma once

#include <pthread.h>

namespace vt {

/// Looks for the lock in ld.so's data. Where it isn't as in glibc 2.36 nothing is tried for. @thread any, once
void loader_lock_find() noexcept;

/// Holds the lock (it is recursive: what pthread_create takes again), if it could be had at once. A patient virtual thread yields until it can.
class LoaderLock {
 public:
  enum Patience { kNow, kPatient };
  explicit LoaderLock(Patience) noexcept;  // @parks if kPatient
  ~LoaderLock();
  LoaderLock(const LoaderLock&) = delete;
  LoaderLock& operator=(const LoaderLock&) = delete;
  explicit operator bool() const noexcept { return may_go_on_; }

 private:
  bool held_ = false, may_go_on_ = true;
};

}  // namespace vt
