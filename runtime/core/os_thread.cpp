#include "core/os_thread.h"

#include <linux/rseq.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/rseq.h>

#include "base/config.h"
#include "core/affinity.h"
#include "core/carrier.h"
#include "core/libc_calls.h"
#include "core/scheduler.h"
#include "core/slot.h"
#include "core/thread_area.h"
#include "sys/fs_base.h"
#include "sys/memory.h"
#include "sys/signal_bits.h"

namespace vt {
namespace {
constexpr size_t kStack = 256 << 10;
constexpr size_t kSignalStack = 64 << 10;  // AT_MINSIGSTKSZ is some 11 KiB with AVX-512 and AMX
constexpr size_t kMainSignalStack = 8 << 20;  // the program's handlers run there: as much as the main stack usually has

using sys::bit;

void set_signal_stack(char* low, size_t size) noexcept {
  stack_t s{};
  s.ss_sp = low;
  s.ss_size = size;
  sys::raw(SYS_sigaltstack, &s, nullptr);
}

// ---- setuid(2) and its kin: glibc has each OS thread make the call in a handler of its own, which marks it as done in the thread area that it
// finds mounted, and asks again until all of *its* threads are marked. So that handler runs with the OS thread's own area mounted.
constexpr int kSetxid = 33;
constexpr unsigned kPlaces = 1 << 16;  // more than there are OS threads of ours
struct Place {
  std::atomic<pid_t> tid{0};
  char *own_tp, *own_self;
};
alignas(sys::kPageSize) Place places[kPlaces];  // 1.5 MiB of zero pages until used
SpinLock places_lock{Rank::kLeaf};
struct KernelAction {
  void (*handler)(int, siginfo_t*, void*);
  unsigned long flags;
  void (*restorer)();
  uint64_t mask;
};
void (*libc_handler)(int, siginfo_t*, void*) = nullptr;

Place* place_of(pid_t tid, pid_t wanted) noexcept {
  for (unsigned i = 0; i < kPlaces; ++i) {
    Place& p = places[((unsigned)tid + i) % kPlaces];
    if (p.tid.load(std::memory_order_acquire) == wanted) return &p;
    if (!p.tid.load(std::memory_order_relaxed)) break;
  }
  return nullptr;
}
/// -1: was one, and may be taken; a search goes on behind it.
void note_area(pid_t tid, char* own_tp) noexcept {
  LockGuard guard(places_lock);
  Place* p = place_of(tid, tid);
  if (!p && !(p = place_of(tid, -1))) p = place_of(tid, 0);
  if (!p) return;
  p->own_tp = own_tp;
  p->own_self = thread_area_self(own_tp);
  p->tid.store(tid, std::memory_order_release);
}
void forget_area(pid_t tid) noexcept {
  LockGuard guard(places_lock);
  if (Place* p = place_of(tid, tid)) p->tid.store(-1, std::memory_order_release);
}

void on_setxid(int signal, siginfo_t* info, void* context) noexcept {
  auto tid = (pid_t)sys::raw(SYS_gettid);
  Place* p = place_of(tid, tid);
  char* mounted = sys::thread_pointer();
  bool other = p && p->own_tp != mounted;
  if (other) mount_area(p->own_tp);
  char*& self = *(char**)(sys::thread_pointer() + sys::kSelfOffset);  // on a slot, that of whose contents stand there
  char* whose = self;
  if (p) self = p->own_self;
  libc_handler(signal, info, context);
  self = whose;
  if (other) mount_area(mounted);
}
}  // namespace

bool os_thread_is_ours(pid_t tid) noexcept { return place_of(tid, tid); }

void os_threads_take_setxid() noexcept {
  KernelAction action{};
  if (sys::raw(SYS_rt_sigaction, kSetxid, nullptr, &action, 8) < 0 || !action.handler || action.handler == on_setxid) return;
  libc_handler = action.handler;
  action.handler = on_setxid;
  sys::raw(SYS_rt_sigaction, kSetxid, &action, nullptr, 8);
}

void os_threads_after_fork() noexcept {
  places_lock.reset();
  if (sys::raw(SYS_madvise, places, sizeof places, MADV_DONTNEED) == 0) return;
  for (Place& p : places)
    if (p.tid.load(std::memory_order_relaxed)) p.tid.store(0, std::memory_order_relaxed);
}

unsigned long synchronous_signals() noexcept {
  return bit(SIGSEGV) | bit(SIGBUS) | bit(SIGFPE) | bit(SIGILL) | bit(SIGTRAP) | bit(SIGSYS) | bit(SIGABRT) | bit(SIGPIPE) |
         bit(SIGPROF);
}

int os_thread_start(Carrier* c, void* (*run)(void*), void* argument) noexcept {
  uint64_t blocked = ~(synchronous_signals() | sys::kLibcSignals), saved = 0;  // 32, 33: glibc's own
  sys::raw(SYS_rt_sigprocmask, SIG_BLOCK, &blocked, &saved, sizeof blocked);   // what the caller blocks may be pending
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, kStack);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  int r = libc_calls.pthread_create(c ? &c->native : &thread, &attr, run, argument);
  pthread_attr_destroy(&attr);
  sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &saved, nullptr, sizeof saved);
  return r;
}

void os_thread_prepare(Carrier* c, const char* name) noexcept {
  if (name) sys::raw(SYS_prctl, PR_SET_NAME, name);
  // The kernel would go on writing the CPU number to our native area; nobody reads it, and after a fork that memory may be
  // gone while the child's thread is still registered.
  bool is_main = c && c->is_main;  // its area stays, in a child too
  uint64_t open = (c ? synchronous_signals() : 0) | sys::kLibcSignals, shut = ~open;  // no code of the program's runs on the monitor and the starter
  if (!c) sys::raw(SYS_rt_sigprocmask, SIG_BLOCK, &shut, nullptr, sizeof shut);
  if (!is_main) sys::raw(SYS_rt_sigprocmask, SIG_UNBLOCK, &open, nullptr, sizeof open);
  if (long offset = thread_area_rseq(); offset && !is_main) {
    char* area = sys::thread_pointer() + offset;
    if (sys::raw(SYS_rseq, area, sizeof(struct rseq), RSEQ_FLAG_UNREGISTER, RSEQ_SIG) == 0)
      ((struct rseq*)area)->cpu_id = RSEQ_CPU_ID_REGISTRATION_FAILED;
  }
  if (!c) return;
  if (!is_main) affinity_new_carrier();
  c->own_tp = sys::thread_pointer();
  c->robust_list = nullptr;
  __atomic_store_n(&c->os_tid, (pid_t)sys::raw(SYS_gettid), __ATOMIC_RELAXED);  // registry.cpp looks
  note_area(c->os_tid, c->own_tp);
  slot_begin(c);
  c->random = config.chaos * 0x9e3779b97f4a7c15 + c->index;
#if defined(__SANITIZE_THREAD__)
  c->loop_fiber.tsan = __tsan_get_current_fiber();
#elif defined(__SANITIZE_ADDRESS__)
  pthread_attr_t attr;
  void* low;
  pthread_getattr_np(pthread_self(), &attr);
  pthread_attr_getstack(&attr, &low, &c->loop_fiber.size);
  c->loop_fiber.low = low;
  pthread_attr_destroy(&attr);
#endif
  size_t size = is_main ? kMainSignalStack : kSignalStack;
  static char* main_stack = nullptr;  // for good: main may leave and join again, in forked children too
  if (is_main && main_stack) return set_signal_stack(main_stack, size);
  long stack = sys::raw(SYS_mmap, nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stack < 0 && stack > -4096) return;  // handlers then run on the interrupted stack
  (is_main ? main_stack : c->signal_stack) = (char*)stack;
  set_signal_stack((char*)stack, size);
}

void os_thread_leave(Carrier* c) noexcept {
  slot_end(c);
  if (c->mounted != c->own_area) {
    sys::mount_arch_prctl(c->own_tp);
    c->mounted = c->own_area;
  }
  forget_area(c->os_tid);
  if (!c->signal_stack) return;
  stack_t off{};
  off.ss_flags = SS_DISABLE;
  sys::raw(SYS_sigaltstack, &off, nullptr);
  sys::raw(SYS_munmap, c->signal_stack, kSignalStack);
  c->signal_stack = nullptr;
}

}  // namespace vt
