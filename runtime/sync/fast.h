// The uncontended paths of normal mutexes, inline in the shim: a call saved is a third of the whole. All else is in sync/mutex.cpp,
// where the states are explained. Layer: sync.
#pragma once

#include <pthread.h>

#include "core/fast_locks.h"
#include "sys/fs_base.h"

namespace vt {

/// True: locked, free of others' wishes. False: nothing was done. @thread any @signal safe
inline bool mutex_lock_fast(pthread_mutex_t* m) noexcept {
  // A kind of 0 is a normal mutex that is ours: not robust, not shared, no protocol.
  if (__builtin_expect(m->__data.__kind != 0 || !fast_locks.on, 0)) return false;
  int expected = 0;
  if (__builtin_expect(!__atomic_compare_exchange_n(&m->__data.__lock, &expected, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED), 0))
    return false;
  m->__data.__owner = sys::read_fs<int>(fast_locks.tid);
  ++m->__data.__nusers;
  return true;
}

/// As above: true, and it's unlocked, with nobody to wake.
inline bool mutex_unlock_fast(pthread_mutex_t* m) noexcept {
  if (__builtin_expect(m->__data.__kind != 0 || !fast_locks.on, 0)) return false;
  // Only the holder marks it free, so a 1 that turns into 2 meanwhile is found by the exchange below.
  if (__builtin_expect(__atomic_load_n(&m->__data.__lock, __ATOMIC_RELAXED) != 1, 0)) return false;
  m->__data.__owner = 0;
  --m->__data.__nusers;
  int expected = 1;
  if (__builtin_expect(__atomic_compare_exchange_n(&m->__data.__lock, &expected, 0, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED), 1))
    return true;
  ++m->__data.__nusers;  // mutex_unlock does it again
  return false;
}

}  // namespace vt
