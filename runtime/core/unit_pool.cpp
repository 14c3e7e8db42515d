#include "core/unit_pool.h"

#include <errno.h>
#include <sys/mman.h>

#include <new>

#include "base/spin_lock.h"
#include "core/loader_lock.h"
#include "core/registry.h"
#include "core/scheduler.h"
#include "core/thread_area.h"
#include "core/vthread.h"
#include "sys/clock.h"
#include "sys/raw.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

namespace vt {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kBelow = 2 * kPage;     // the resolver's page, the guard
constexpr int kClasses = 40;             // stack sizes 16 KiB * 2^n
constexpr size_t kSmallest = 16 << 10;
// Units are mapped in slabs, each twice the last, so that a million of them are some mappings, between which the program maps its own.
constexpr size_t kFirstSlab = 64 << 20, kFirstUnits = 16, kLargestSlab = 1 << 30;

/// Free units, linked by next_run.
struct UnitList {
  VThread* head = nullptr;
  void push(VThread* v) noexcept { v->next_run = head, head = v; }
  VThread* pop() noexcept {
    VThread* v = head;
    if (v) head = v->next_run;
    return v;
  }
};

//   list      since when its units are free             to which they go, unless somebody takes them
//   warm      a moment                                  at the next period's start: aged
//   aged      the last period's start at least          likewise: due
//   due       a whole period                            one by one: cold, their stacks' memory given back
//   cold      longer
// In a line of its own: a forked child then has the words of `slab` as they were at one moment.
struct alignas(64) SizeClass {
  UnitList warm, aged, due, cold;
  char* volatile slab = nullptr;  // what is left of the last slab: nothing if it isn't below the end
  char* volatile slab_end = nullptr;
  size_t next_slab = 0;     // units
};

SpinLock lock{Rank::kPool};
SizeClass classes[kClasses];
size_t head_size;    // bytes above the stack: VThread + thread area, whole pages
size_t tp_from_top;  // thread pointer = top - this
size_t vthread_from_tp;

size_t unit_size(int c) noexcept { return kBelow + (kSmallest << c) + head_size; }

// Ids start elsewhere in each process: glibc compares them as owners of locks in shared memory.
std::atomic<uint32_t> ids{0};
void scatter_ids() noexcept { ids.store((uint32_t)sys::raw(SYS_getpid) * 2654435761u, std::memory_order_relaxed); }

int class_for(size_t stack) noexcept {
  int c = 0;
  while (c < kClasses && (kSmallest << c) < stack) ++c;
  return c;
}

char* map(size_t size) noexcept {
  long p = sys::raw(SYS_mmap, nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (p < 0 && p > -4096) return nullptr;
  sys::raw(SYS_madvise, p, size, MADV_NOHUGEPAGE);
  return (char*)p;
}

/// Memory for one more unit of class c: from its slab, or a new slab, or alone where a slab is too much.
char* carve(int c, size_t unit) noexcept {
  SizeClass& k = classes[c];
  if (k.slab >= k.slab_end) {
    size_t count = k.next_slab ? k.next_slab : kFirstSlab / unit < kFirstUnits ? kFirstSlab / unit : kFirstUnits;
    if (count < 1) count = 1;
    k.next_slab = 2 * count * unit <= kLargestSlab ? 2 * count : count;
    char* slab = map(count * unit);
    if (!slab) slab = map(unit), count = 1;
    if (!slab) return nullptr;
    k.slab_end = nullptr;  // never two slabs' words beside each other
    k.slab = slab;
    k.slab_end = slab + count * unit;
  }
  char* low = k.slab;
  k.slab = low + unit;
  return low;
}

bool guard(char* low) noexcept {
  static bool no_guard_install = false;
  if (!no_guard_install) {
    if (sys::raw(SYS_madvise, low, kPage, MADV_GUARD_INSTALL) == 0) return true;
    no_guard_install = true;  // an older kernel, or mlockall: a mapping of its own
  }
  return sys::raw(SYS_mprotect, low, kPage, PROT_NONE) == 0;
}

VThread* make(int c) noexcept {
  size_t unit = unit_size(c);
  char* low;
  {
    LockGuard g(lock);
    low = carve(c, unit);
  }
  if (!low || !guard(low + kPage)) return nullptr;
  char* tp = low + unit - tp_from_top;
  auto* v = new (tp - vthread_from_tp) VThread;
  v->is_virtual = true;
  v->tp = v->area = v->tls_at = tp;
  v->stack_low = low + kBelow;
  v->size_class = (uint8_t)c;
  std::atomic_signal_fence(std::memory_order_release);
  v->stack_top = (char*)v;  // last: by it registry_after_fork() tells that the rest is there
  return registry_add(v, &v->slot) ? v : nullptr;
}

}  // namespace

void unit_pool_init() noexcept {
  scatter_ids();
  tp_from_top = thread_area_size() - thread_pointer_offset();
  tp_from_top = (tp_from_top + thread_area_alignment() - 1) & ~(thread_area_alignment() - 1);
  // The static TLS is below the thread pointer; the VThread is below that.
  size_t below = thread_pointer_offset() + sizeof(VThread);
  vthread_from_tp = (below + 63) & ~(size_t)63;
  head_size = (tp_from_top + vthread_from_tp + kPage - 1) & ~(kPage - 1);
}

res_state unit_resolver(VThread* v) noexcept {
  static_assert(sizeof(struct __res_state) <= kPage);
  return (res_state)(v->stack_low - kBelow);
}

char* unit_end(const VThread* v) noexcept { return v->stack_low - kBelow + unit_size(v->size_class); }

VThread* vthread_of(char* tp) noexcept { return (VThread*)(tp - vthread_from_tp); }

namespace {
VThread* take(int c) noexcept {
  RuntimeSection section;
  {
    LockGuard g(lock);
    SizeClass& k = classes[c];
    for (UnitList* list : {&k.warm, &k.aged, &k.due, &k.cold})
      if (VThread* v = list->pop()) return v;
  }
  return make(c);
}
}  // namespace

VThread* unit_acquire(size_t stack) noexcept {
  int c = class_for(stack);
  if (c == kClasses) return nullptr;
  VThread* v = take(c);
  if (!v) return nullptr;
  LoaderLock loader(LoaderLock::kPatient);
  // Like the kernel's, ids aren't given again soon: programs tell threads apart by them. (3 * 2^28 of them.)
  pid_t tid = kVirtualTidBase + (pid_t)(ids.fetch_add(1, std::memory_order_relaxed) % (3u << 28));
  bool ok = v->area_ready ? thread_area_recycle(v->tp, tid, v->keep_libc) : thread_area_create(v->tp, tid);
  if (!ok) {
    RuntimeSection section;
    unit_release(v);
    return nullptr;
  }
  v->area_ready = v->keep_libc = true;
  v->id.store(tid, std::memory_order_relaxed);
  v->next_run = nullptr;
  return v;
}

void unit_release(VThread* v) noexcept {
  // A pthread_t that is used after its end then looks like an ended thread's to glibc (ESRCH), not like one of ours.
  if (v->area_ready) thread_area_set_tid(v->tp, -1);
  v->state.store(State::kFree, std::memory_order_relaxed);
  LockGuard g(lock);
  classes[v->size_class].warm.push(v);
}

namespace {
/// What lies below the page of the stack's top: the VThread and the first frames stay. Nobody stands on it, but a carrier may still
/// have the thread area mounted.
void give_back_stack(VThread* v) noexcept {
  char* end = (char*)((uintptr_t)v->stack_top & ~(kPage - 1));
  sys::raw(SYS_madvise, v->stack_low, end - v->stack_low, MADV_DONTNEED);
}

/// Some of those that are due, out of their list. @locks lock is held
int take_due(VThread** taken, int most) noexcept {
  int n = 0;
  for (SizeClass& k : classes)
    while (n < most && k.due.head) taken[n++] = k.due.pop();
  return n;
}

/// A period begins; nothing of the last one's is due any more. @locks lock is held
void age() noexcept {
  for (SizeClass& k : classes) {
    k.due = k.aged;
    k.aged = k.warm;
    k.warm.head = nullptr;
  }
}

/// Some will be due later. @locks lock is held
bool any_waits() noexcept {
  for (SizeClass& k : classes)
    if (k.warm.head || k.aged.head) return true;
  return false;
}
}  // namespace

namespace {
constexpr int kPortion = 64;
VThread* taken[kPortion];  // the monitor's: their stacks have been given back
int taken_count = 0;
}  // namespace

PoolRest unit_pool_give_back(uint64_t now) noexcept {
  constexpr uint64_t kPeriod = sys::kSecond, kWork = 1'000'000;  // ns
  static uint64_t period_end = 0;
  do {
    bool later;
    int n;
    {
      LockGuard g(lock);
      while (taken_count) {
        VThread* v = taken[--taken_count];
        classes[v->size_class].cold.push(v);
      }
      n = take_due(taken, kPortion);
      if (n == 0 && now >= period_end) {
        age();
        period_end = now + kPeriod;
        n = take_due(taken, kPortion);
      }
      later = n == 0 && any_waits();
      taken_count = n;
    }
    if (n == 0) return later ? PoolRest::kLater : PoolRest::kNothing;
    for (int i = 0; i < n; ++i) give_back_stack(taken[i]);
  } while (sys::now() - now < kWork);
  return PoolRest::kNow;
}

// Others went on while the kernel copied, page by page, upwards: a page may be newer than one below it. So nothing is believed that lies in two
// places, but for what was written long before: the lists are made anew, and each unit that the registry has is taken off its slab.
void unit_pool_after_fork(VThread* keep) noexcept {
  lock.reset();
  taken_count = 0;
  scatter_ids();
  for (SizeClass& k : classes) k.warm = k.aged = k.due = k.cold = {};
  for (uint32_t i = 0, n = registry_count(); i < n; ++i) {
    VThread* v = registry_at(i);
    if (!v) continue;
    SizeClass& k = classes[v->size_class];
    char* end = unit_end(v);
    if (v->stack_low > k.slab && v->stack_low < k.slab_end) k.slab = end;
    if (v == keep || v->forked) continue;  // forked: the caller's own, of an earlier fork
    v->keep_libc = false;
    v->depth = 0;
    unit_release(v);
  }
}

}  // namespace vt
