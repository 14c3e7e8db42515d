#include "core/runtime.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "base/config.h"
#include "base/log.h"
#include "core/affinity.h"
#include "core/costs.h"
#include "core/blocking.h"
#include "core/fast_locks.h"
#include "core/eject.h"
#include "core/ending.h"
#include "core/libc_calls.h"
#include "core/loader_lock.h"
#include "core/main_thread.h"
#include "core/monitor.h"
#include "core/os_thread.h"
#include "core/pin.h"
#include "core/refusal.h"
#include "core/registry.h"
#include "core/scheduler.h"
#include "core/slot.h"
#include "core/signals.h"
#include "core/starter.h"
#include "core/tcache.h"
#include "core/thread_area.h"
#include "core/thread_signals.h"
#include "core/unit_pool.h"
#include "core/wait_table.h"
#include "sys/fs_base.h"

extern "C" {
__thread vt::Self* vt_self = nullptr;
__thread vt::PlatformThread vt_platform;
extern void* __dso_handle __attribute__((visibility("hidden")));
}

namespace vt {

constinit LibcCalls libc_calls{};
std::atomic<uint64_t> live{0};
FastLocks fast_locks;

namespace {

//   kReady      no carrier, ring or monitor        runtime_start(): kRunning, kRefused
//   kRunning    they run                           the monitor: kStopping
//   kStopping   the monitor looks whether they     itself: kReady, or kRunning again
//               may end; creators wait
enum class Phase : uint32_t { kUnbooted, kBooting, kNative, kReady, kStopping, kRunning, kRefused };
std::atomic<Phase> phase{Phase::kUnbooted};
SpinLock start_lock{Rank::kRuntime};
std::atomic<uint64_t> created{0}, created_before_fork{0};

// ---------------------------------------------------------------- fork
// Registered at boot, before any handler of the program (with its first, if that comes earlier): so `prepare` runs last and the others run first. The program's
// handlers run in the caller's context, on its own thread area, as does glibc's fork itself (HACKING.md, "fork"). That waits for locks of libc's, whose
// holder may need this carrier, or be a thread that parked in fflush(NULL): so no lock that virtual threads may want is held meanwhile, and the runtime's
// handlers come through. Start_lock is wanted only where there are none; as long as its caller lives the runtime doesn't stop.

bool keeps_from_stopping(const VThread* v) noexcept { return v && !v->is_main; }

// A handler of the program's that interrupts fork may fork as well, and its child may return from it, into the middle of the first. So each open fork of a
// thread's has a place in vt_platform.forks, the innermost in the lowest bits:
//   kLocked   a section was entered, and start_lock is held
//   kOpen     a section was entered, and whoever forks keeps the runtime from stopping, or is alone, in a child
//   kNested   neither: made in a handler over another fork, or over the runtime, whose locks may be held below it
enum class Fork : uint64_t { kNone, kLocked, kOpen, kNested };
constexpr unsigned kForkBits = 2;
void fork_opens(Fork kind) noexcept { vt_platform.forks = vt_platform.forks << kForkBits | (uint64_t)kind; }
Fork fork_closes() noexcept {
  auto kind = (Fork)(vt_platform.forks & ((1 << kForkBits) - 1));
  vt_platform.forks >>= kForkBits;
  return kind;
}

/// No handler sees a half of what is done meanwhile.
class Unhandled {
 public:
  Unhandled() noexcept {
    uint64_t all = ~0ull;
    sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &all, &saved_, sizeof all);
  }
  ~Unhandled() { sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &saved_, nullptr, sizeof saved_); }
  Unhandled(const Unhandled&) = delete;
  Unhandled& operator=(const Unhandled&) = delete;

 private:
  uint64_t saved_ = 0;
};

void before_fork() noexcept {
  Unhandled unhandled;
  if (vt_platform.forks || self()->depth) return fork_opens(Fork::kNested);
  for (;;) {
    Self* s = self();
    RuntimeSection::enter(s);  // spans the fork
    if (keeps_from_stopping(current())) {
      fork_opens(Fork::kOpen);
      break;
    }
    start_lock.lock();
    if (!main_has_left()) {
      fork_opens(Fork::kLocked);
      break;
    }
    start_lock.unlock();  // else as in runtime_start()
    s->depth = s->depth - 1;
    main_settle();
  }
  if (VThread* v = current()) v->in_fork = true;
}

void after_fork_in_parent() noexcept {
  {
    Unhandled unhandled;
    Fork kind = fork_closes();
    if (kind == Fork::kLocked) start_lock.unlock();
    if (kind == Fork::kNested || kind == Fork::kNone) return;
    if (VThread* v = current()) v->in_fork = false;
    Self* s = self();
    s->depth = s->depth - 1;
  }
  RuntimeSection section;  // its end does what the fork's section has put off
}

/// What is left of the forks that the caller's handler interrupted, in the child: how many sections.
uint32_t forks_after_fork() noexcept {
  uint32_t sections = 0;
  uint64_t left = 0;
  unsigned at = 0;
  for (uint64_t w = vt_platform.forks; w; w >>= kForkBits, at += kForkBits) {
    auto kind = (Fork)(w & ((1 << kForkBits) - 1));
    if (kind != Fork::kNested) ++sections, kind = Fork::kOpen;
    left |= (uint64_t)kind << at;
  }
  vt_platform.forks = left;
  return sections;
}

void after_fork_in_child() noexcept {
  VThread* v = current();
  start_lock.reset();
  Self* s = self();
  Fork kind = fork_closes();
  uint32_t sections = forks_after_fork();
  if (kind != Fork::kNested) {
    s->depth = s->depth - 1;
    if (v) v->in_fork = false;
  }
  s->deferred_count = 0;
  if (v && kind != Fork::kNone) vt_platform.depth = sections;
  if (is_main(v)) {
    uint64_t mask = v->signal_mask.load(std::memory_order_relaxed);
    if (v->carrier->is_blocking) sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, sizeof mask);
    vt_self = nullptr;
  } else if (v) {
    uint64_t mask = v->signal_mask.load(std::memory_order_relaxed);
    vt_self = nullptr;  // a platform thread from now on
    v->forked = true;
    thread_area_adopt(v->tp);
    if (swaps) thread_area_adopt(sys::thread_pointer());
    sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, sizeof mask);
    char name[16];
    v->get_name(name);
    sys::raw(SYS_prctl, 15 /* PR_SET_NAME */, name);
    v->state.store(State::kFree, std::memory_order_relaxed);
  }
  registry_after_fork();
  main_after_fork();
  thread_note_name();
  os_threads_after_fork();
  signals_after_fork();
  thread_signals_after_fork();
  wait_table_after_fork();
  carriers_after_fork();
  monitor_after_fork();
  starter_after_fork();
  blocking_after_fork();
  event_loops_after_fork();
  pins_after_fork(v);
  unit_pool_after_fork(v);
  live.store(0, std::memory_order_relaxed);
  created_before_fork.store(created.load(std::memory_order_relaxed), std::memory_order_relaxed);
  Phase p = phase.load(std::memory_order_relaxed);  // kStopping: the monitor just looked
  if (p == Phase::kRunning || p == Phase::kStopping) phase.store(Phase::kReady, std::memory_order_relaxed);
}

bool has_gil() noexcept {
  // CPython with a GIL. A free-threaded build has PyUnstable_Module_SetGIL do something, and this symbol beside it.
  return dlsym(RTLD_DEFAULT, "PyGILState_Ensure") && !dlsym(RTLD_DEFAULT, "_PyEval_EnableGILTransient");
}

/// The environment, where libc's own constructor hasn't run either: above the arguments, where the kernel put it.
char** environment() noexcept {
  if (environ) return environ;
  auto** end = static_cast<void**>(dlsym(RTLD_DEFAULT, "__libc_stack_end"));
  return end && *end ? (char**)*end + 1 + *(long*)*end + 1 : nullptr;
}

}  // namespace

void* find_next(const char* name) noexcept {
  int saved = errno;
  void* p = dlsym(RTLD_NEXT, name);
  errno = saved;
  if (p) return p;
  complain("libc has no %s", name);
  abort();
}

uint64_t created_threads() noexcept { return created.load(std::memory_order_relaxed); }
uint64_t threads_here() noexcept { return created_threads() - created_before_fork.load(std::memory_order_relaxed); }
uint64_t live_threads() noexcept { return live.load(std::memory_order_seq_cst); }
void count_thread(int change) noexcept {
  if (change > 0) created.fetch_add(1, std::memory_order_relaxed);
  if (live.fetch_add((uint64_t)(int64_t)change, std::memory_order_seq_cst) + (uint64_t)(int64_t)change == 0) main_notice_last();
}

void boot() noexcept {
  Phase p = Phase::kUnbooted;
  if (!phase.compare_exchange_strong(p, Phase::kBooting, std::memory_order_acq_rel)) return;
  libc_calls.find_all();
  loader_lock_find();
  read_config(environment());
  const char* missing = nullptr;
  if (!config.threads || refusal_by_valgrind()) {
    phase.store(Phase::kNative, std::memory_order_release);
    return;
  }
  if (!thread_area_probe(&missing)) {
    complain("this libc has no %s as vtshim knows it; threads stay native", missing);
    phase.store(Phase::kNative, std::memory_order_release);
    return;
  }
  unit_pool_init();
  dump_install();
  libc_calls.__register_atfork(before_fork, after_fork_in_parent, after_fork_in_child, __dso_handle);
  fast_locks.tid = thread_area_tid_offset();
  fast_locks.on = !config.chaos;
  phase.store(Phase::kReady, std::memory_order_release);
}

bool active() noexcept {
  Phase p = phase.load(std::memory_order_acquire);
  if (p <= Phase::kBooting) {
    boot();
    p = phase.load(std::memory_order_acquire);
  }
  return p > Phase::kNative;  // kBooting: ld.so, or an allocator that it calls, asks on boot's account
}

bool runtime_stop() noexcept {
  if (!start_lock.try_lock()) return false;
  bool stopped = false;
  // seq_cst: we store the phase, then look at the count; who creates a thread counts it, then looks at the phase
  phase.store(Phase::kStopping, std::memory_order_seq_cst);
  if (live.load(std::memory_order_seq_cst) == 0 && main_stops_parking() && starter_pause()) {
    stopped = blocking_threads_alive() == 0 && carriers_retire_all();
    if (stopped) main_leave(), starter_end();
    else starter_resume();
  }
  if (!stopped) main_parks_again();
  phase.store(stopped ? Phase::kReady : Phase::kRunning, std::memory_order_seq_cst);
  start_lock.unlock();
  return stopped;
}

namespace {
/// @locks start_lock is held
bool start() noexcept {
  Phase p = phase.load(std::memory_order_acquire);
  if (p != Phase::kReady) return p == Phase::kRunning;
  choose_mount();
  costs_measure();
  affinity_begin();
  steal_credit.begin(config.steal != StealPolicy::kAuto, config.steal == StealPolicy::kQuick || (config.steal == StealPolicy::kAuto && !has_gil()));
  static_tls_sync();
  kick_install();
  eject_install();
  slots_know_libc();
  bool joins = config.main_joins && !current() && getpid() == (pid_t)sys::raw(SYS_gettid);
  int r = -starter_start();
  if (r == 0 && (r = -monitor_start()) < 0 && starter_pause()) starter_end();
  os_threads_take_setxid();  // which glibc's pthread_create has installed
  if (r == 0) r = joins ? main_join() : carrier_start();
  if (r < 0) {
    refusal_tell(-r);
    phase.store(Phase::kRefused, std::memory_order_release);
    return false;
  }
  for (unsigned i = 1; swaps && i < carrier_target() && carrier_start() == 0;) ++i;
  phase.store(Phase::kRunning, std::memory_order_release);
  ending_watch();
  if (joins) {
#ifndef VT_UNIT
    signals_take_over();
#endif
    vt_self = main_thread();  // from here on the caller is virtual
  }
  return true;
}
}  // namespace

bool runtime_start() noexcept {
  if (phase.load(std::memory_order_seq_cst) == Phase::kRunning) return true;
  if (!active()) return false;
  if (config.pin_warn) backtrace_prepare();  // takes ld.so's lock: now, or never
  tcache_find();
  for (;;) {
    main_settle();
    RuntimeSection section;
    LockGuard guard(start_lock);
    // While it waited for a runtime that was stopping, main became a platform thread: the section must be that one's.
    if (!main_has_left()) return start();
  }
}

bool phase_never_ran() noexcept { return created.load(std::memory_order_relaxed) == 0; }

bool on_vthread() noexcept {
  VThread* v = current();
  if (__builtin_expect(v && v->is_main && main_has_left(), 0)) return false;
  return v && !is_child_in_memory(v);
}
bool has_own_signal_stack() noexcept { return on_vthread() || vt_platform.over; }
namespace {
bool signals_are_ours(const VThread* v) noexcept { return !v->is_main || v->carrier->is_blocking; }
}  // namespace
bool has_virtual_signals() noexcept { return on_vthread() && signals_are_ours(current()); }

bool can_park() noexcept {
  VThread* v = current();
  return v && v->depth == 0 && (self_parks(v) || (main_settle(), false));
}

// Not by can_park(), whose call costs a write 13 instructions.
bool call_can_park() noexcept {
  VThread* v = current();
  if (!v || v->depth) return false;
  if (!self_parks(v)) return main_settle(), false;
  return __builtin_expect(--v->carrier->calls_left, 1) || take_turns();
}

void vfork_enter() noexcept {
  if (VThread* v = current()) ++v->in_vfork;
}
void vfork_in_child() noexcept {
  VThread* v = current();
  if (!v || !signals_are_ours(v)) return;
  uint64_t mask = v->signal_mask.load(std::memory_order_relaxed);
  sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, sizeof mask);
}
void vfork_leave() noexcept {
  VThread* v = current();
  if (!v || --v->in_vfork || v->depth) return;
  if (signals_wanted(v)) signals_deliver(v, nullptr);  // who sent them found the thread in the kernel
}

void process_ends() noexcept { ending_tell_last(); }

bool exec_begins() noexcept {
  ending_tell();  // if it fails they aren't the last
  VThread* v = current();
  if (!v || is_child_in_memory(v)) return false;
  vfork_enter();  // it stays on this OS thread, and a signal of ours that has come does nothing there
  Carrier* c = v->carrier;
  // seq_cst: we store in_exec, then look at the senders; who sends counts himself, then looks at in_exec [exec]
  c->in_exec.store(true, std::memory_order_seq_cst);
  while (c->senders.load(std::memory_order_seq_cst)) sys::raw(SYS_sched_yield);
  uint64_t ours = runtime_signals(), mask = 0;  // a handler of the program's may have them blocked
  sys::raw(SYS_rt_sigprocmask, SIG_UNBLOCK, &ours, &mask, sizeof ours);
  sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, sizeof mask);
  return true;
}
void exec_failed(bool begun) noexcept {
  if (!begun) return;
  Carrier* c = current()->carrier;
  c->in_exec.store(false, std::memory_order_relaxed);
  vfork_leave();
}

bool is_boxed() noexcept {
  VThread* v = current();
  return v && v->boxed;
}
bool on_own_os_thread(const VThread* v) noexcept { return v->carrier && v->carrier->os_tid == sys::raw(SYS_gettid); }
int vfork_stay() noexcept {
  VThread* v = current();
  if (v && swaps) return -ENOTSUP;  // the thread pointer is the slot's: when v parks the child would find another's variables there
  if (v) v->shares_area = true;
  return 0;
}

bool fork_begins() noexcept {
  if (!active()) return false;
  before_fork();
  return true;
}
void fork_ends_in_parent(bool begun) noexcept {
  if (begun) after_fork_in_parent();
}
void fork_ends_in_child() noexcept {
  if (active()) after_fork_in_child();
}

void yield() noexcept {
  if (can_park())
    yield_now();
  else
    sys::raw(SYS_sched_yield);
}

namespace {
__attribute__((destructor)) void at_exit() noexcept { ending_tell_last(); }
__attribute__((constructor(101))) void at_load() noexcept { boot(); }
}  // namespace

}  // namespace vt
