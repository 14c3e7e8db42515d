// Event loops: a thread that waits in epoll_wait many times a second, and for little else in between, gets an OS thread of its own. It goes on
// there as the program's code does natively, and waits in the kernel: a socket's wake-up of a thread in epoll_wait is quicker than of a ring's owner,
// since the kernel is told there that the waker is about to sleep. HACKING.md, "Event loops". Layer: core. @thread vthread
#pragma once

#include <stdint.h>

namespace vt {

struct VThread;

/// A thread's waits of late; in the VThread, its own.
struct LoopHistory {
  uint32_t since = 0;      // the window began, on the monitor's clock, in steps of 2^20 ns
  uint32_t parks = 0;      // its note's count behind its last epoll_wait
  uint8_t waits = 0;       // in the window
  uint8_t disturbed = 0;   // of these, before how many it had waited for something else
  uint8_t rests = 0;       // windows for which it gets no place: among others it was disturbed there
  bool has_place = false;  // it may have an OS thread of its own: there are config.loops of those
};

/// A wait begins. True: the thread is on an OS thread of its own now, and the wait is to be the kernel's. It stays there until it parks. @parks
bool event_loop_begins(VThread* v) noexcept;
/// And is over.
void event_loop_waited(VThread* v) noexcept;
/// The thread's end.
void event_loop_ends(VThread* v) noexcept;
void event_loops_after_fork() noexcept;

}  // namespace vt
