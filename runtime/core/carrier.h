// A carrier: an OS thread that runs virtual threads, with its run queue, timers and ring; or one of the OS threads on which
// announced blocking calls run (no ring, no queue). Layer: core. DESIGN.md section 6.
#pragma once

#include <pthread.h>
#include <ucontext.h>
#include <stdint.h>

#include <atomic>

#include "core/park_reason.h"
#include "core/reactor.h"
#include "core/run_queue.h"
#include "core/timer_heap.h"
#include "sys/context.h"

namespace vt {

inline constexpr unsigned kMaxCarriers = 256;

/// What is to be done with the thread that was left, once its registers are saved: from the other side of the switch.
enum class Commit : uint8_t { kNone, kPark, kYield, kExit, kToBlocking, kFromBlocking, kEject };

struct IoWait;

/// What /proc tells of an OS thread; its files stay open once they were needed. @thread monitor
struct OsThreadView {
  int stat = -1, call = -1;
  /// Reads /proc/self/task/TID/`name`. Bytes read, or <= 0.
  long read(int& fd, pid_t tid, const char* name, char* text, size_t size) noexcept;
  void close() noexcept;
};

enum class Kicked : uint8_t { kNo, kYes, kNoted };  // kNoted: the kick's handler needs the note of the call

//   kFit      an OS thread like any other                its thread, when one that changed it for good ends there: kSpoilt
//   kSpoilt   reserved for nobody, till nothing is       its OS thread, with its last touch of the carrier: kEnded
//             in flight; or a new OS thread starts       the new one: kFit, or kEnded (no ring to be had)
//   kEnded    no OS thread                               the monitor: kSpoilt
enum class Fitness : uint8_t { kFit, kSpoilt, kEnded };

/// Who is pinned here and from where, for VTSHIM_PIN_WARN; core/pin.cpp.
struct PinNote {
  static constexpr int kFrames = 20;
  std::atomic<uint64_t> since{0};  // ns, CLOCK_MONOTONIC; 0: nobody
  bool warned = false;
  int frame_count = 0;
  VThread* thread = nullptr;
  void* frames[kFrames] = {};
};

struct alignas(64) Carrier {
  // ---- hot, the owner's
  VThread* running = nullptr;      // null while in its own loop; the monitor and the kick handler look
  char* mounted = nullptr;         // the thread area that FS has; on a slot, whose contents stand there (core/slot.h)
  char* own_area = nullptr;        // where its own, or main's, contents are kept; own_tp where nothing is exchanged
  char* shadow = nullptr;          // memory for that
  volatile bool exchanges = false; // main's contents are being saved
  sys::Context* save = nullptr;    // where the context that was left goes
  VThread* left = nullptr;         // whom `commit` is about
  Commit commit = Commit::kNone;
  bool is_main = false;            // carrier 0 on the main OS thread (core/main_thread.h)
  bool is_blocking = false;        // runs announced blocking calls only
  PipeMask pipe = PipeMask::kOpen; // what the OS thread's mask says of SIGPIPE, as the running thread wants it
  bool bound = false;              // to the CPUs of the thread that ran last (core/affinity.h)
  volatile uint32_t in_handler = 0;        // carrier 0: handlers of main's that run on top of another thread, which can't be moved
  std::atomic<bool> go_native{false};      // carrier 0: main's call shall leave the ring
  std::atomic<bool> attention{false};      // carrier 0: one has come for main: the loop shall look. This OS thread's only
  uint32_t ticks = 0;
  uint8_t calls_left = 0;          // until take_turns()
  uint8_t calls = 0;               // from it to it
  uint64_t turn_seen = 0;          // it found so many switches,
  uint64_t turn_since = 0;         // ns: then
  sys::Context loop_context = nullptr;
  sys::Fiber loop_fiber;
  std::atomic<uint64_t> switches{0};

  // ---- others touch these
  alignas(64) RunQueue queue;
  std::atomic<uint32_t> idle{0};   // 1: sleeps in its ring; who makes it 0 wakes it
  std::atomic<uint32_t> reserved{0};  // pinned threads that are off it: > 0 and it runs nobody else. Its OS thread's to write; core/pin.h
  std::atomic<Fitness> fitness{Fitness::kFit};
  std::atomic<uint32_t> asked{0};  // asked to help: steal once, whatever the policy
  std::atomic<bool> stuck{false};  // the monitor's view
  std::atomic<uint32_t> quit{0};   // 1: the monitor asks it to leave; 2: it decides; a futex
  std::atomic<uint32_t> wakers{0}; // threads that are about to end its wait
  std::atomic<uint32_t> gone{1};   // no OS thread runs it: not yet, or not any more
  std::atomic<uint32_t> residents{0};  // on a slot: the threads that live there, but for main
  TimerHeap timers;
  Reactor reactor;
  std::atomic<VThread*> eject{nullptr};  // the monitor wants it off this OS thread; core/eject.cpp
  Carrier* eject_to = nullptr;           // null: a blocking thread, which is claimed
  struct {
    long number;
    uint64_t sp, pc;
  } eject_call{};                        // the system call that it is in; the monitor's, but while eject_is_coming()
  std::atomic<Kicked> kicked{Kicked::kNo};  // one of the monitor's kicks is on its way: the next comes after it
  bool eject_firmly = false;             // on a slot: also out of libc's code
  std::atomic<bool> eject_put_off{false};  // on a slot: it was in such code
  SpinLock mail_lock{Rank::kMailbox};
  IoWait* mail = nullptr;          // waits that somebody else wants cancelled
  VThread* requests = nullptr;     // threads whose waits pthread_cancel ends (core/cancel.h)

  std::atomic<uint32_t> in_kick{0};    // carrier 0: handlers of kicks that may use its ring. [stop]
  std::atomic<bool> in_exec{false};    // its OS thread is in exec: no signals of ours
  std::atomic<uint32_t> senders{0};    // others that are about to send one

  uint32_t index = 0;
  pid_t os_tid = 0;
  char* own_tp = nullptr;          // its native thread area
  pthread_t native{};
  char* signal_stack = nullptr;
  void* robust_list = nullptr;     // what the kernel has for its OS thread, once somebody's else (sync/foreign.cpp)
  OsThreadView view;
  uint64_t seen_switches = 0;      // the monitor's
  uint32_t asked_for = 0;          // the monitor's: which batch of blocking threads is to have one for who blocks here
  uint32_t move_from = 0;          // io_waits_move(): the registry's slot at which it goes on
  uint32_t hog_ticks = 0;          // the monitor's: looks in a row at which it computed for one thread with I/O in flight
  uint64_t idle_since = 0;         // the monitor's: ns, 0 if it didn't idle at the last look
  uint64_t renewed_at = 0;         // the monitor's: ns
  std::atomic<bool> renew_asked{false};  // the starter shall
  std::atomic<bool> is_boxed{false};  // a seccomp filter lay on its OS thread, which ends without a call to its ring
  uint64_t seen_cpu = 0;           // its CPU time, ns, when the monitor last saw a switch
  uint64_t looked_cpu = 0;         // and at its last look

  // ---- counters, the owner's
  uint64_t parks[(int)ParkReason::kCount] = {};
  uint64_t steals = 0, mounts = 0, kicks = 0, ejects = 0, pins = 0, pinned_parks = 0;
  PinNote pin_note;
  uint64_t random = 0;
  VThread* cpu_clocked = nullptr;  // whose CPU time counts since cpu_clock_at
  uint64_t cpu_clock_at = 0;       // ns of the OS thread's CPU time
  uint64_t helps_since = 0;        // ns: it stole, and hasn't idled since
  Carrier* helped = nullptr;       // from whom,
  uint64_t helped_idled = 0;       // who had idled for so long then, ns
  std::atomic<uint64_t> idled{0};       // ns, counted while somebody helps
  std::atomic<uint64_t> idles_since{0}; // ns, likewise; 0: it doesn't

  /// The OS thread's whole life.
  void run() noexcept;

 private:
  bool leave() noexcept;
};

/// Those that run; those with the highest indices leave when they have idled for long. The objects stay for ever.
unsigned carrier_count() noexcept;
/// How many objects there are: the ones that left may still be given work in a race, which the monitor rescues.
unsigned carrier_objects() noexcept;
Carrier* carrier_at(unsigned index) noexcept;
/// How many run when none is stuck.
unsigned carrier_target() noexcept;
/// How many there may be.
unsigned carrier_limit() noexcept;

/// Starts the next one. 0 or -errno. @thread the starter, and who starts the runtime
int carrier_start() noexcept;
/// The calling OS thread, the main one, becomes carrier 0; its loop is the caller's to set up, before the others may see it. 0 or -errno.
int carrier_adopt(Carrier** adopted) noexcept;
void carrier_publish_adopted() noexcept;
/// A new OS thread for one whose last was spoilt and has ended: the starter makes it. @thread monitor
void carrier_renew(Carrier* c) noexcept;
/// True if there was one to make. @thread the starter
bool carriers_renew_asked() noexcept;
/// The one with the highest index leaves if it has nothing to do. @thread monitor
bool carrier_retire_last() noexcept;
/// All of them end, the main thread's last, which only gives up its ring. False, and nothing has changed, unless all have nothing to do.
/// @thread monitor, with no virtual thread alive and none to come
bool carriers_retire_all() noexcept;
/// Ends an idle carrier's wait. @thread any @signal safe
void carrier_wake(Carrier* c) noexcept;
/// Gets an idle carrier to steal, or asks the monitor for another one. @thread any @signal safe
void carrier_want_help() noexcept;

/// The signal that makes a stuck carrier look at its ring.
void kick_install() noexcept;
/// A new carrier takes kicks. @thread the carrier
void kick_accept() noexcept;
enum class Kick : uint8_t {
  kReap,     // the monitor's: it computes, and takes in its finished I/O
  kMoveIo,   // the monitor's: it computes for long, or waits in the kernel with what can't be taken off it: its unfinished I/O starts again elsewhere, too
  kEndCall,  // main, or who was cancelled, blocks there: its call ends with EINTR
};
inline constexpr uint64_t kKickKinds = 7;  // in the low bits of the carrier's address
/// `noted`: for the monitor, which has noted the call (core/eject.h). One of its kicks at a time.
void carrier_kick(Carrier* c, Kick kind, bool noted = false) noexcept;
/// One of the runtime's signals for c's OS thread; `word` is its value. False: not sent, c is in exec, say. @thread any @signal safe
bool carrier_signal(Carrier* c, int number, uint64_t word) noexcept;
/// In a signal handler: it interrupted a system call, which the kernel has set back to its start, or whose instruction comes next.
bool at_call(const ucontext_t* uc) noexcept;
/// In a signal handler: a call that the kernel would start again ends with EINTR instead; one that is about to begin doesn't.
void end_call(ucontext_t* uc) noexcept;
/// In a signal handler, after one of the program's: if that interrupted a call and the kernel has ended it with EINTR, no handler of ours sets it back any more.
void call_has_ended(ucontext_t* uc) noexcept;
int kick_signal_number() noexcept;
/// Those signals, as a mask in the kernel's form: nobody may block them on an OS thread of ours.
uint64_t runtime_signals() noexcept;
/// One of the real-time signals that the runtime keeps for itself.
bool is_runtime_signal(int signal) noexcept;

/// In a forked child.
void carriers_after_fork() noexcept;

}  // namespace vt
