// An OS thread of ours: how it starts (signals, alternate stack, rseq) and how it ends. Layer: core.
#pragma once

#include <sys/types.h>

namespace vt {

struct Carrier;

/// glibc's pthread_create with asynchronous signals blocked. 0 or an error number. `c` may be null (the monitor, the starter).
/// @thread the starter, and who starts the runtime
int os_thread_start(Carrier* c, void* (*run)(void*), void* argument) noexcept;
/// First call on the new thread.
void os_thread_prepare(Carrier* c, const char* name) noexcept;
/// Last call: its own thread area is mounted again, so that glibc may end it.
void os_thread_leave(Carrier* c) noexcept;

/// setuid(2) reaches our OS threads from here on, whatever they run. After the first os_thread_start() in a process.
void os_threads_take_setxid() noexcept;
void os_threads_after_fork() noexcept;

/// Signals that a carrier must not block: those that its own instructions raise.
unsigned long synchronous_signals() noexcept;
/// One of those that run virtual threads. @signal safe
bool os_thread_is_ours(pid_t tid) noexcept;

}  // namespace vt
