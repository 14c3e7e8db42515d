// Every virtual thread by slot, and what each is doing: for tools, people and maintenance. Layer: core. Lock rank: kPool (writers).
//
// Readers stop nobody and take no lock: units are never given back to the system, what is read in them are atomics that their owners
// write (core/published.h), and what lies in the program's memory (the holder of a mutex) is fetched by process_vm_readv, which may
// fail but not fault. So all of it may be asked on any thread, in a signal handler, and after a crash.
#pragma once

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/park_reason.h"

namespace vt {

struct VThread;

/// Above every tid that the kernel can give (pid_max is at most 2^22), below FUTEX_TID_MASK (2^30).
inline constexpr pid_t kVirtualTidBase = 1 << 28;
inline constexpr uint32_t kMaxSlots = 1 << 24;

/// Takes a slot for a new unit. False: no memory, or too many.
bool registry_add(VThread* thread, uint32_t* slot) noexcept;
/// Null beyond the end, and where a unit was being made as a forked child began.
VThread* registry_at(uint32_t slot) noexcept;
/// Whose id it is, as gettid() tells; null if nobody's. @signal safe
VThread* registry_find(pid_t id) noexcept;
uint32_t registry_count() noexcept;
void registry_each_area(void (*visit)(VThread*, void* arg), void* arg) noexcept;
/// In the child of fork, before anybody looks into it. Units whose memory is older than their entry's are dropped.
void registry_after_fork() noexcept;

// ---------------------------------------------------------------- what they do

enum class Doing : uint8_t {
  kRunning,   // on a carrier, or on its way off it
  kRunnable,  // in a queue
  kWaiting,   // parked; the fields below say for what
  kBlocking,  // on an OS thread of its own, in a call that may block it, or as an event loop
  kEnded,     // nobody has joined it yet
  kCount
};
inline constexpr const char* kDoingNames[] = {"running", "runnable", "waiting", "blocking", "ended"};
static_assert(sizeof kDoingNames / sizeof *kDoingNames == (int)Doing::kCount);

struct ThreadInfo {
  uint32_t slot;
  pid_t id;                 // as gettid() tells
  char name[16];
  bool is_main;
  Doing doing;
  uint64_t since;           // ns of CLOCK_MONOTONIC, on the monitor's clock: 5 ms late at the most
  int carrier;              // its index: where it runs, or ran last; -1: none yet, or an OS thread for blocking calls
  pid_t os_tid;             // of that OS thread; 0: none yet
  // ---- while waiting
  ParkReason reason;
  uint64_t deadline;        // ns of CLOCK_MONOTONIC; UINT64_MAX: none
  int fds[4];               // the first of them
  uint32_t fd_count;        // 0: it waits for no descriptor
  const void* object;       // the lock, the futex word; null with descriptors
  const void* mutex;        // beside `object` if that is a condition variable
  bool in_mutex;            // the condition came true: it's in the mutex's queue now
  pid_t holder;             // who has the mutex (see in_mutex), is the rwlock's writer, or is joined; 0: nobody, or not known
  char holder_name[16];
  uint32_t readers;         // of the rwlock
  bool for_all;             // main after pthread_exit: waits for all the others to end
};

/// For main, where it takes part.
inline constexpr uint32_t kMainSlot = kMaxSlots;
/// What the thread in `slot` (below registry_count(), or kMainSlot) does. False: no thread there now. @thread any @signal safe
bool registry_snapshot(uint32_t slot, ThreadInfo* out) noexcept;
/// Its state only: some loads. kCount: no thread there now. @thread any @signal safe
Doing registry_doing(uint32_t slot) noexcept;
/// Writes a head (threads by state, each carrier) and a line for each thread to `fd`. 0 or -errno. @thread any @signal safe
int registry_dump(int fd) noexcept;

/// At boot: VTSHIM_DUMP_SIGNAL's handler, and a dump when a VT_CHECK fails.
void dump_install() noexcept;
bool is_dump_handler(void (*handler)(int, siginfo_t*, void*)) noexcept;

}  // namespace vt
