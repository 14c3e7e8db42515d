#include "core/affinity.h"

#include <errno.h>
#include <string.h>

#include <atomic>

#include "api.h"
#include "base/spin_lock.h"
#include "core/carrier.h"
#include "core/main_thread.h"
#include "core/unit_pool.h"
#include "core/vthread.h"
#include "sys/raw.h"

namespace vt {
namespace {

SpinLock lock{Rank::kLeaf};  // the sets of all threads
cpu_set_t process_set;
std::atomic<bool> platform_changed{false};

long os_get(cpu_set_t* set) noexcept {
  CPU_ZERO(set);
  return sys::raw(SYS_sched_getaffinity, 0, sizeof *set, set);
}
long os_set(size_t size, const cpu_set_t* set) noexcept { return sys::raw(SYS_sched_setaffinity, 0, size, set); }

}  // namespace

void affinity_begin() noexcept { os_get(&process_set); }

void affinity_new_carrier() noexcept { os_set(sizeof process_set, &process_set); }

void affinity_note_platform() noexcept { platform_changed.store(true, std::memory_order_relaxed); }

void affinity_apply(Carrier* c, VThread* v) noexcept {
  cpu_set_t set = process_set;
  bool own = v->affinity_set.load(std::memory_order_relaxed);
  if (own) {
    LockGuard guard(lock);
    set = v->affinity;
  }
  os_set(sizeof set, &set);  // can't fail but for a CPU that was taken away meanwhile; then the kernel's choice stands
  c->bound = own;
}

void affinity_inherit(VThread* v, const cpu_set_t* attr) noexcept {
  VThread* parent = current();
  v->affinity_set.store(false, std::memory_order_relaxed);
  if (!attr && parent && !parent->affinity_set.load(std::memory_order_relaxed)) return;
  if (!attr && !parent && !platform_changed.load(std::memory_order_relaxed)) return;
  cpu_set_t set;
  if (attr) {
    set = *attr;
  } else if (parent) {
    LockGuard guard(lock);
    set = parent->affinity;
  } else if (os_get(&set) < 0) {
    return;
  }
  LockGuard guard(lock);
  v->affinity = set;
  v->affinity_set.store(true, std::memory_order_relaxed);
}

int affinity_judge(cpu_set_t* set) noexcept {
  RuntimeSection section;
  cpu_set_t before;
  os_get(&before);
  long r = os_set(sizeof *set, set);
  if (r < 0) return (int)r;
  os_get(set);
  os_set(sizeof before, &before);
  return 0;
}

int thread_set_affinity(pthread_t thread, size_t size, const cpu_set_t* set) noexcept {
  VThread* v = thread_of(thread);
  RuntimeSection section;
  VThread* self = current();
  // The kernel judges the set, on this OS thread: EINVAL unless one of its CPUs is allowed, EFAULT.
  cpu_set_t before, wanted;
  os_get(&before);
  long r = os_set(size, set);
  if (r < 0) return (int)r;
  os_get(&wanted);
  if (v == self) self->carrier->bound = true;
  else os_set(sizeof before, &before);  // the other one obeys from its next mount on
  LockGuard guard(lock);
  v->affinity = wanted;
  v->affinity_set.store(true, std::memory_order_relaxed);
  return 0;
}

int thread_get_affinity(pthread_t thread, size_t size, cpu_set_t* set) noexcept {
  VThread* v = thread_of(thread);
  RuntimeSection section;
  long r = sys::raw(SYS_sched_getaffinity, 0, size, set);  // the kernel judges the arguments
  if (r < 0) return (int)r;
  cpu_set_t now = process_set;
  if (v->affinity_set.load(std::memory_order_relaxed)) {
    LockGuard guard(lock);
    now = v->affinity;
  }
  if (size < sizeof now)  // EINVAL where a CPU would be cut off
    for (size_t cpu = size * 8; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &now)) return -EINVAL;
  memset(set, 0, size);
  memcpy(set, &now, size < sizeof now ? size : sizeof now);
  return 0;
}

}  // namespace vt
