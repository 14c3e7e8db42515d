// The CPU time of virtual threads: CLOCK_THREAD_CPUTIME_ID, pthread_getcpuclockid(3). It's counted from the first time that anybody asks:
// then each switch reads the OS thread's own CPU clock, which is a system call. Layer: core.
#pragma once

#include <stdint.h>

#include <atomic>

namespace vt {

struct Carrier;
struct VThread;

extern std::atomic<bool> cpu_clocks_on;
/// c goes on with `next`; null: with its loop. @thread scheduler of c
void cpu_clock_switch(Carrier* c, VThread* next) noexcept;

}  // namespace vt
