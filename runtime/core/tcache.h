// What malloc caches for a thread (glibc's tcache) when that ends. glibc's own end of a thread frees it, which can't be had alone; our areas are
// kept for the next thread, and with them up to 236 KiB each that nobody could use meanwhile. Layer: core. @thread any, user context
#pragma once

namespace vt {

/// Looks for the cache's place, by what a malloc and a free change. Where it isn't as in glibc 2.30 and later, or the program has a malloc of
/// its own, nothing is found. Once, calls malloc.
void tcache_find() noexcept;
/// The calling thread ends: what it has cached, if that is more than a little, goes back to malloc's arenas.
void tcache_empty() noexcept;

}  // namespace vt
