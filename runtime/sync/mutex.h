// What cond needs of mutexes beside api.h. Layer: sync.
#pragma once

#include <pthread.h>

#include "core/wait_table.h"

namespace vt {

/// False: a mutex that knows its owner isn't the caller's (EPERM).
bool mutex_may_release(const pthread_mutex_t* m) noexcept;
/// Lets the mutex go however often it's held recursively; returns that count for mutex_relock.
unsigned mutex_release_for_wait(pthread_mutex_t* m) noexcept;
/// `was_queued`: the caller was woken out of the mutex's own queue, so others may be left in it, and only the caller will mark
/// the mutex for them.
void mutex_relock(pthread_mutex_t* m, unsigned count, bool was_queued) noexcept;  // @parks
/// A woken cond waiter's node, moved to the mutex's queue if that is held: it is woken by an unlock. False: wake it now.
/// Called with the cond's bucket locked and the node unlinked from it.
bool mutex_adopt_waiter(pthread_mutex_t* m, WaitNode* node, Bucket& held) noexcept;

}  // namespace vt
