// A virtual thread. It lives at the top of its unit (core/unit_pool.h), beside its thread area. Layer: core.
//
//   state       meaning                                     who may change it, to what
//   kFree       in the pool                                 thread_create: kRunnable
//   kRunnable   in exactly one queue                        the carrier that takes it out: kRunning
//   kRunning    on a carrier, or on its way off it          itself, by the commit on the other side: kParked, kRunnable (yield),
//                                                           kFree (exit); who wakes it: kNotified
//   kNotified   the wake-up came before the registers were  the commit: kRunnable; itself, if it hasn't left yet: kRunning
//               saved
//   kParked     registers saved, in no queue                who wakes it: kRunnable
// Each park is paired with exactly one unpark.
#pragma once

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include <atomic>

#include "core/event_loop.h"
#include "core/park_reason.h"
#include "core/published.h"
#include "core/self.h"
#include "sys/context.h"

namespace vt {

struct Carrier;
struct IoWait;

/// What a thread waits for: by itself, before each park, for whoever asks (core/registry.h). Words: the ParkReason, and above it how
/// many descriptors there are; the lock or the first two descriptors; the WaitNode or two further ones; the deadline.
struct WaitNote : Published<4> {
  static constexpr int kCountShift = 8;
  static uint64_t pair(int a, int b) noexcept { return (uint32_t)a | (uint64_t)(uint32_t)b << 32; }
  void on_key(ParkReason reason, const void* key, const void* node, uint64_t deadline) noexcept {
    write({(uint64_t)reason, (uint64_t)key, (uint64_t)node, deadline});
  }
  void on_descriptors(ParkReason reason, const int (&fds)[4], uint32_t count, uint64_t deadline) noexcept {
    write({(uint64_t)reason | (uint64_t)count << kCountShift, pair(fds[0], fds[1]), pair(fds[2], fds[3]), deadline});
  }
  void clear() noexcept { write({}); }
};

enum class State : uint32_t { kFree, kRunnable, kRunning, kNotified, kParked };

/// What a thread's mask says of SIGPIPE, which the kernel sends to the OS thread: its mask follows.
enum class PipeMask : uint8_t {
  kOpen,
  kBlocked,
  kMains,  // main blocks it: what is pending on its OS thread is main's, and leaves with it
  kTaken,  // the same, and one lies in main's own queue: to be given back to its OS thread
};

constexpr int kNobodySaid = 100;  // a nice value that there isn't

struct VThread : Self {
  char* tp = nullptr;          // thread pointer = pthread_t; for good

  // ---- what each switch and each wait look at: three cache lines with Self's first, since a thread among a thousand comes with none of them
  char* area = nullptr;        // tp, or main's shadow: core/slot.h
  char* tls_at = nullptr;      // likewise
  sys::Context context = nullptr;
  VThread* next_run = nullptr;
  Carrier* carrier = nullptr;  // where it runs, or ran last; set by whoever mounts it; others look with __atomic_load_n
  Carrier* home = nullptr;     // the last carrier with a ring
  std::atomic<uint64_t> since{0};  // when it came into its state, on the monitor's clock
  std::atomic<IoWait*> io_wait{nullptr};     // its wait in `home`'s ring; that OS thread's only, but for cancel_thread()'s look
  std::atomic<uint64_t> signals_pending{0};
  std::atomic<uint64_t> signal_mask{0};      // its own to write; core/thread_signals.h
  std::atomic<State> state{State::kFree};
  uint32_t pins = 0;           // > 0: stays on `carrier`
  uint32_t exclusive = 0;      // of them, those that keep others off it while it's off it: core/pin.h
  uint32_t loads_seen = 0;     // static_tls_touch()
  uint8_t in_vfork = 0;
  bool boxed = false;          // a seccomp filter lies on its OS thread, which therefore does no work for the runtime any more
  bool shares_area = false;    // with a child, which has its memory and thread pointer and runs beside it
  bool is_main = false;        // bound to carrier 0: core/main_thread.h
  bool bound = false;          // to `home`: core/slot.h
  bool in_masked_call = false;
  bool in_announced = false;   // in an announced call, on a blocking thread most likely
  PipeMask pipe = PipeMask::kOpen;
  bool in_place = false;       // main, in an announced call: it waits where it is. core/main_signals.h
  std::atomic<bool> affinity_set{false};     // core/affinity.cpp
  std::atomic<bool> cancel_requested{false}; // core/cancel.h
  std::atomic<bool> cancel_disabled{false};  // what pthread_setcancelstate said
  std::atomic<bool> cancel_async{false};     // what pthread_setcanceltype said
  volatile bool cancel_shielded = false;     // in an announced call that a cancellation doesn't end: for the kick's handler, on its own OS thread
  uint32_t off_main_until = 0; // a tick of the monitor's: ejected from carrier 0, which main wanted; till then it's queued elsewhere
  uint8_t off_main_times = 0;  // in a row
  WaitNote note;

  // ---- the unit's, for good
  char* stack_low = nullptr;   // the unit's own stack, above the guard
  char* stack_top = nullptr;
  uint32_t slot = 0;
  uint8_t size_class = 0;
  bool area_ready = false;     // the area was created once
  bool keep_libc = true;       // libc's block survives recycling

  // ---- scheduling
  LoopHistory loop;
  uint32_t loads = 0;          // of libraries, by dlopen, on its stack: core/thread_area.cpp
  std::atomic<uint64_t> cpu_time{0};  // ns; core/cpu_clock.h
  bool reserves = false;       // counted in carrier->reserved
  uint8_t pinned_calls = 0;    // announced ones that it makes on its carrier, counted there, too
  bool blocks_carrier = false; // counted: an announced call for which there is no OS thread
  bool looks_up = false;       // counted: core/look_ups.h
  bool spoils = false;         // its OS thread shall end with it
  bool starts_pinned = false;  // VTSHIM_PIN_LIBS
  uint64_t random = 0;         // chaos

  // ---- the thread's own
  void* (*start)(void*) = nullptr;
  void* argument = nullptr;
  void* result = nullptr;
  bool result_set = false;
  bool stack_is_users = false;
  size_t guard_size = 0;
  char* used_stack = nullptr;  // as pthread_getattr_np tells
  size_t used_stack_size = 0;
  uint32_t handlers_run = 0;    // counts
  uint32_t handlers_before = 0; // a call with a mask of its own (ppoll, sigsuspend) began: what has run since ends it
  std::atomic<uint64_t> signals_awaited{0};  // by sigwait(3) and its kin
  struct PendingSignal* signal_queue = nullptr;
  struct SignalFrame* signal_frames = nullptr;  // its handlers that run now
  bool in_deliver = false;      // signals_deliver() is between two of them
  stack_t alternate_stack = {};
  int policy = 0, priority = 0;  // as pthread_setschedparam(3) said: numbers, which change nothing
  int nice = kNobodySaid;        // likewise; core/os_numbers.cpp
  unsigned long slack = 0, default_slack = 0;  // of timers, ns, likewise; 0: nobody said
  cpu_set_t affinity = {};
  sys::Fiber fiber;
  bool forked = false;         // in a forked child: the process's only thread, no longer virtual
  volatile bool in_fork = false;  // its section is the one that spans glibc's fork, which is no code of the runtime's and may wait: core/runtime.cpp

  // ---- for whoever looks: core/registry.h
  std::atomic<pid_t> id{0};            // as gettid() tells
  Published<2> name;

  void get_name(char (&out)[16]) const noexcept;
  void set_name(const char (&text)[16]) noexcept;

  // ---- cancellation, waits
  std::atomic<const void*> wait_key{nullptr};// the key of its last wait in the wait table
  std::atomic<struct WaitNode*> wait_node{nullptr};  // its node, while that is in a bucket; under the bucket's lock
  VThread* next_request = nullptr;           // in a carrier's list, under its mail_lock
  std::atomic<bool> request_queued{false};   // in one; who takes it out clears this, then looks: a request that came before is seen

  // ---- its end; under the bucket lock of &done
  uint32_t done = 0;           // others look with __atomic_load_n
  bool detached = false;
  bool joining = false;

  pthread_t handle() const noexcept { return (pthread_t)tp; }
  /// Nobody may move it to another carrier's queue.
  bool stays() const noexcept { return pins || is_main || bound; }
};

/// Null on a platform thread. @thread any in user context @signal safe
inline VThread* current() noexcept {
  Self* s = vt_self;
  return s && s->is_virtual ? static_cast<VThread*>(s) : nullptr;
}

/// Virtual threads that haven't ended, main not counted.
extern std::atomic<uint64_t> live;
/// Does `v` stand on the runtime, so that a handler of the runtime's must keep out? @signal safe
inline bool is_inside(const VThread* v) noexcept { return v->depth > (v->in_fork ? 1u : 0u); }
/// The caller isn't the child that shares the thread area of `v`: what it runs on is v's. @signal safe
bool on_own_os_thread(const VThread* v) noexcept;
/// The caller is a child of vfork's or clone's that has the memory and thread pointer of `v`.
inline bool is_child_in_memory(const VThread* v) noexcept { return v->in_vfork || (v->shares_area && !on_own_os_thread(v)); }
/// In such a child, or boxed, or main away from its OS thread.
inline bool mustnt_park(const VThread* v) noexcept { return v->boxed || v->in_place || is_child_in_memory(v); }
/// Main has joined, and the runtime isn't about to stop. Main looks at it in a section, having counted that in `depth`; who stops stores it, makes a
/// membarrier, then looks at main's depth: so main waits in the kernel, or the runtime doesn't stop [stop]. Outside of sections an answer may be stale.
extern std::atomic<bool> main_parks;
/// False for platform threads, in vfork children, and for main when there is nobody else to run meanwhile: those wait in the kernel.
inline bool self_parks(const Self* s) noexcept {
  if (!s || !s->is_virtual) return false;
  const auto* v = static_cast<const VThread*>(s);
  if (mustnt_park(v)) return false;
  return !v->is_main || (live.load(std::memory_order_seq_cst) && main_parks.load(std::memory_order_relaxed));
}
/// In a section: the caller has a carrier that stays there till the section ends. False for main where the runtime stops.
inline bool has_carrier(const VThread* v) noexcept { return v && (!v->is_main || main_parks.load(std::memory_order_relaxed)); }

}  // namespace vt
