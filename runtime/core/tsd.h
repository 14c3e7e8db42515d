// Thread-specific data: glibc keeps the values (in our thread areas too), we keep the destructors, since glibc runs them only in
// threads that it started. Layer: core.
#pragma once

#include <atomic>

namespace vt {

/// A key has been given whose values aren't in struct pthread's first block.
extern std::atomic<bool> many_keys;

/// The destructors of the calling virtual thread's non-null values, in up to PTHREAD_DESTRUCTOR_ITERATIONS rounds
/// (pthread_key_create(3p)). @thread vthread at its end
void tsd_run_destructors();

}  // namespace vt
