// The thread area: glibc's TCB (struct pthread), static TLS and DTV behind the thread pointer, made without
// pthread_create. Layer: core. DESIGN.md, rules 1 to 5.
//
// Offsets come from glibc's own thread_db descriptors, from syscalls that hand back what glibc registered, or from the x86-64
// TLS ABI (tcb 0, dtv 8, self 16, stack guard 40, pointer guard 48: gcc has them compiled in).
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <atomic>

#include "sys/fs_base.h"

namespace vt {

struct VThread;

/// Finds what is needed in this glibc. False with *missing set: this glibc lacks it, and nothing may be virtual.
/// @thread any, once, before any other function here
bool thread_area_probe(const char** missing) noexcept;

/// Bytes that a thread area takes, and where in them the thread pointer stands: at area + thread_pointer_offset().
size_t thread_area_size() noexcept;
size_t thread_area_alignment() noexcept;
size_t thread_pointer_offset() noexcept;

/// Makes a fresh area in zeroed memory at `tp` (the thread pointer to be). False: no memory. @thread any, in user context (calls malloc)
bool thread_area_create(char* tp, pid_t tid) noexcept;
/// Makes a used area as new, keeping libc's own block (malloc's cache, locale, resolver), which can't be freed from
/// outside; after fork that block may be half-changed, so `keep_libc` is false there. @thread any, in user context
bool thread_area_recycle(char* tp, pid_t tid, bool keep_libc) noexcept;

/// In a forked child: what was a virtual thread's area now serves the only thread of the process.
void thread_area_adopt(char* tp) noexcept;

pid_t thread_area_tid(const char* tp) noexcept;
/// The calling thread's, which glibc's locks note as their owner. @signal safe
pid_t own_tid() noexcept;
/// Where it lies, from the thread pointer.
long thread_area_tid_offset() noexcept;
void thread_area_set_tid(char* tp, pid_t tid) noexcept;
/// The calling thread's block of libc's own TLS.
const char* thread_area_libc_block(size_t* size) noexcept;
/// Its robust list, struct robust_list_head.
void* thread_area_robust_list(char* tp) noexcept;
/// As pthread_cancel(3) does for a thread whose cancellation is deferred. @thread any
void thread_area_set_cancelled(char* tp) noexcept;
/// A cancellation unwinds the thread, or it has called pthread_exit(3): it acts on no cancellation any more. @thread any @signal safe
bool thread_area_is_exiting(const char* tp) noexcept;

// ---------------------------------------------------------------- exchanging contents instead (core/slot.h)

/// Bytes of static TLS below the thread pointer that modules have, now; all that there can be while a library is being loaded.
extern std::atomic<size_t> static_tls_extent;
/// Memory for a shadow: an area that keeps another one's contents, as complete as that, so that a thread may run on it. Null: there's none.
char* thread_area_shadow_memory() noexcept;
/// The one at `base`, as it is now. @thread the one whose area `base` is
void thread_area_shadow(char* shadow, char* base) noexcept;
/// What is a thread's own in the area at `base` is kept in `area`, and brought back. @thread any, no thread area in use @signal safe
void thread_area_save(const char* base, char* area) noexcept;
void thread_area_load(char* base, const char* area) noexcept;
/// The DTV of `area` leads to static TLS at `from`: now to that at `to`.
void thread_area_rebase(char* area, char* from, char* to) noexcept;
/// Whose thread pointer pthread_self() tells there.
inline char* thread_area_self(const char* tp) noexcept { return *(char* const*)(tp + sys::kSelfOffset); }

/// Where glibc 2.35 and later has registered a thread's rseq(2), from the thread pointer; 0: it hasn't.
long thread_area_rseq() noexcept;

/// A library loaded later may have static TLS: its initial image must stand in the areas that exist.
/// dlopen's wrapper notes that something was loaded; `sync` then visits every area. @thread any, user context
void static_tls_load_begins() noexcept;
/// To ld.so, until as many static_tls_load_ends() or the thread's end.
void static_tls_show() noexcept;
void static_tls_load_ends() noexcept;
/// At the end of a thread: it may have left a constructor by pthread_exit.
void static_tls_hide(VThread* v) noexcept;
/// A load of which only the start can be seen (dlopen by a name that is searched for on the caller's behalf).
void static_tls_note_load() noexcept;
/// On a slot: the caller's DTV gets its entries for static TLS of libraries loaded since it last did this; ld.so would put those of the thread's own
/// area there. Takes ld.so's lock. @thread vthread, in user context
void static_tls_touch() noexcept;
/// Counts loads. @signal safe
uint32_t static_tls_loads() noexcept;
bool static_tls_is_behind() noexcept;
void static_tls_sync() noexcept;

/// What the thread itself must do first, with its area mounted: ctype tables, resolver state.
void thread_area_enter(void* resolver_state) noexcept;
/// At its end: thread_local destructors.
void thread_area_run_tls_destructors() noexcept;

}  // namespace vt
