// Creation, end, join and the attributes of virtual threads: api.h's thread_*. Layer: core. Results are 0 or -errno.
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api.h"
#include "base/config.h"
#include "base/log.h"
#include "core/blocking.h"
#include "core/libc_calls.h"
#include "core/main_thread.h"
#include "core/os_numbers.h"
#include "core/monitor.h"
#include "core/registry.h"
#include "core/runtime.h"
#include "core/scheduler.h"
#include "core/slot.h"
#include "core/affinity.h"
#include "core/thread_area.h"
#include "core/thread_signals.h"
#include "core/tcache.h"
#include "core/tsd.h"
#include "core/unit_pool.h"
#include "core/wait_table.h"
#include "sync/foreign.h"
#include "sys/fs_base.h"
#include "sys/signal_bits.h"

extern "C" {
// glibc's deferred-cancellation cleanup in its C form, as <pthread.h> expands pthread_cleanup_push without exceptions.
void __pthread_register_cancel(__pthread_unwind_buf_t*);
void __pthread_unregister_cancel(__pthread_unwind_buf_t*);
int __sigsetjmp(struct __jmp_buf_tag*, int);
}

namespace vt {
namespace {

constexpr size_t kPage = 4096;

constexpr int kNative = 1, kPinned = 2;

/// What the library that it lies in means for a thread that starts there.
int origin_of(void* (*start)(void*)) noexcept {
  // A few start routines make all threads of a program: remember the answer for each.
  struct Known {
    std::atomic<void*> start;
    std::atomic<int> answer;
  };
  static Known known[64];
  size_t at = ((uint64_t)start * 0x9e3779b97f4a7c15) >> 58;
  if (known[at].start.load(std::memory_order_acquire) == (void*)start) return known[at].answer.load(std::memory_order_relaxed);
  // Not dladdr: it takes ld.so's lock, which a dlopen holds while the library's constructors run, and those may wait for us.
  int answer = 0;
  if (link_map* library = library_around((void*)start)) {
    const char* name = library->l_name;
    if (!name[0]) name = program_invocation_name;  // the program itself
    const char* slash = strrchr(name, '/');
    if (slash) name = slash + 1;
    answer = (matches(config.native_libs, name) ? kNative : 0) | (matches(config.pin_libs, name) ? kPinned : 0);
  }
  if (!known[at].start.load(std::memory_order_relaxed)) {
    known[at].answer.store(answer, std::memory_order_relaxed);
    known[at].start.store((void*)start, std::memory_order_release);
  }
  return answer;
}

__attribute__((noinline)) void run_start(VThread* v) {
  // pthread_exit and cancellation unwind to here, out of destructors, too: glibc jumps to this buffer when it has run what is registered above it.
  __pthread_unwind_buf_t buffer;
  if (__sigsetjmp((struct __jmp_buf_tag*)(void*)buffer.__cancel_jmp_buf, 0) == 0) {
    __pthread_register_cancel(&buffer);
    v->result = v->start(v->argument);
  } else if (!v->result_set) {
    v->result = PTHREAD_CANCELED;
  }
  thread_area_run_tls_destructors();
  tsd_run_destructors();
  __pthread_unregister_cancel(&buffer);
}

void entry(sys::Transfer transfer) {
  asm volatile(".cfi_undefined rip");  // unwinders end here
  sys::fiber_entered();
  arrive(transfer);
  VThread* v = current();
  if (config.tls == TlsBackend::kShared) {  // unit tests: what libc keeps in the area belongs to the carrier
    v->depth = 0;
    v->result = v->start(v->argument);
    v->depth = 1;
    leave_for_ever();
  }
  v->depth = 0;
  thread_area_enter(unit_resolver(v));
  if (swaps && v->loads_seen != static_tls_loads()) static_tls_touch();
  signals_have_unblocked(v, ~v->signal_mask.load(std::memory_order_relaxed));
  if (signals_wanted(v)) signals_deliver(v, nullptr);
  if (v->deferred_count) run_deferred(v);
  if (v->starts_pinned && pin() < 0) complain("a thread of a library on VTSHIM_PIN_LIBS can't be pinned: no OS thread to be had");
  run_start(v);
  if (v->forked) exit(0);  // the only thread of a forked child has ended
  tcache_empty();
  static_tls_hide(v);
  foreign_thread_ends(v);
  v->depth = 1;
  leave_for_ever();
}

std::atomic<size_t> default_stack_size{0};  // 0: to be asked for
std::atomic<bool> defaults_set{false};      // by the program: all of them count

size_t default_stack() noexcept {
  if (config.stack) return config.stack;
  pthread_attr_t attr;
  size_t size = 8 << 20;
  if (pthread_getattr_default_np(&attr) == 0) {
    pthread_attr_getstacksize(&attr, &size);
    pthread_attr_destroy(&attr);
  }
  return size;
}

struct Wanted {
  size_t stack_size = 0;
  void* stack = nullptr;  // lowest address, if the program supplies it
  size_t guard = kPage;
  bool detached = false;
  bool has_mask = false;  // pthread_attr_setsigmask_np(3)
  uint64_t mask = 0;
  int policy = SCHED_OTHER, priority = 0;
  int error = 0;  // what the kernel would say
  bool has_affinity = false;  // pthread_attr_setaffinity_np(3)
  cpu_set_t affinity;
};

Wanted read_attr(const pthread_attr_t* attr) noexcept {
  Wanted w;
  size_t size = default_stack_size.load(std::memory_order_relaxed);
  if (!size) default_stack_size.store(size = default_stack(), std::memory_order_relaxed);
  w.stack_size = size;
  policy_inherit(&w.policy, &w.priority);
  pthread_attr_t defaults;
  if (!attr && defaults_set.load(std::memory_order_acquire) && pthread_getattr_default_np(&defaults) == 0) {
    w = read_attr(&defaults);
    pthread_attr_destroy(&defaults);
    return w;
  }
  if (!attr) return w;
  int inherits;
  sched_param param;
  if (pthread_attr_getinheritsched(attr, &inherits) == 0 && inherits == PTHREAD_EXPLICIT_SCHED &&
      pthread_attr_getschedpolicy(attr, &w.policy) == 0 && pthread_attr_getschedparam(attr, &param) == 0)
    w.priority = param.sched_priority, w.error = policy_judge(w.policy, w.priority);
  int state;
  if (pthread_attr_getdetachstate(attr, &state) == 0) w.detached = state == PTHREAD_CREATE_DETACHED;
  pthread_attr_getguardsize(attr, &w.guard);
  sigset_t mask;
  if (pthread_attr_getsigmask_np(attr, &mask) == 0) {
    memcpy(&w.mask, &mask, sizeof w.mask);
    w.mask &= ~sys::kUnmaskable;
    w.has_mask = true;
  }
  // glibc reports all CPUs there can be if none were set.
  if (pthread_attr_getaffinity_np(attr, sizeof w.affinity, &w.affinity) == 0) w.has_affinity = CPU_COUNT(&w.affinity) < CPU_SETSIZE;
  if (w.has_affinity && !w.error) w.error = affinity_judge(&w.affinity);
  void* low = nullptr;
  // glibc keeps the top; without a stack of the program's it hands back top 0 minus the size.
  if (pthread_attr_getstack(attr, &low, &size) == 0 && low && (uintptr_t)low + size != 0) w.stack = low, w.stack_size = size;
  else if (pthread_attr_getstacksize(attr, &size) == 0 && !(config.stack && size == default_stack())) w.stack_size = size;
  return w;
}

/// The mask that a new thread inherits.
uint64_t inherited_mask() noexcept {
  if (VThread* v = current(); v && (!v->is_main || v->carrier->is_blocking)) return v->signal_mask.load(std::memory_order_relaxed);
  uint64_t mask = 0;
  sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, nullptr, &mask, sizeof mask);
  return mask;
}

/// Of vt_self in each thread area.
ptrdiff_t self_offset() noexcept { return (char*)&vt_self - sys::thread_pointer(); }

void prepare(VThread* v, const Wanted& w, void* (*start)(void*), void* arg) noexcept {
  v->start = start;
  v->argument = arg;
  v->result = nullptr;
  v->result_set = v->forked = v->joining = false;
  affinity_inherit(v, w.has_affinity ? &w.affinity : nullptr);
  __atomic_store_n(&v->done, 0u, __ATOMIC_RELAXED);
  v->detached = w.detached;
  v->guard_size = w.guard;
  v->stack_is_users = w.stack != nullptr;
  // As glibc tells of its own: whole pages, the thread area at their end among them. A JVM maps guard pages of its own at the low end.
  v->used_stack_size = w.stack ? w.stack_size : (w.stack_size + kPage - 1) & ~(kPage - 1);
  v->used_stack = w.stack ? (char*)w.stack : unit_end(v) - v->used_stack_size;
  signals_begin(v, w.has_mask ? w.mask : inherited_mask());
  v->cancel_requested.store(false, std::memory_order_relaxed);
  v->cancel_disabled.store(false, std::memory_order_relaxed);
  v->cancel_async.store(false, std::memory_order_relaxed);
  v->cancel_shielded = false;
  v->wait_key.store(nullptr, std::memory_order_relaxed);
  v->wait_node.store(nullptr, std::memory_order_relaxed);
  v->cpu_time.store(0, std::memory_order_relaxed);
  v->policy = w.policy;
  v->priority = w.priority;
  os_numbers_inherit(v);
  v->pins = v->exclusive = 0;
  v->reserves = v->spoils = false;
  v->pinned_calls = 0;
  v->starts_pinned = (origin_of(start) & kPinned) && config.pin != PinPolicy::kNone;
  v->bound = false;
  v->tls_at = v->area;
  v->in_vfork = 0;
  v->shares_area = v->boxed = v->in_announced = false;
  v->loads = 0;
  v->off_main_until = v->off_main_times = 0;
  v->loop = {};  // in a forked child who had it hasn't ended
  v->random = 0;
  v->depth = 1;  // until entry() has run
  v->deferred_count = 0;
  __atomic_store_n(&v->carrier, (Carrier*)nullptr, __ATOMIC_RELAXED);
  v->home = nullptr;
  v->note.clear();
  name_inherit(v);
  char* top = (char*)((uintptr_t)(w.stack ? (char*)w.stack + w.stack_size : v->stack_top) & ~(uintptr_t)63);
  v->context = sys::make_fcontext(top, (size_t)(top - (w.stack ? (char*)w.stack : v->stack_low)), entry);
#if defined(__SANITIZE_THREAD__)
  v->fiber.tsan = __tsan_create_fiber(0);
#elif defined(__SANITIZE_ADDRESS__)
  v->fiber.low = v->stack_low;
  v->fiber.size = (size_t)(v->stack_top - v->stack_low);
#endif
  // vt_self in the new area.
  if (config.tls != TlsBackend::kShared) *(Self**)(v->tp + self_offset()) = v;
}

}  // namespace

bool is_joined_here(pthread_t thread) noexcept {
  MainThread* m = main_thread();
  return is_vthread(thread) || (m && m->handle() == thread);
}

bool is_main_handle(pthread_t thread) noexcept {
  MainThread* m = main_thread();
  return m && m->handle() == thread;
}

bool is_vthread(pthread_t thread) noexcept {
  if (phase_never_ran()) return false;
  if (!thread) return false;
  if (MainThread* m = main_thread(); swaps && m && m->handle() == thread) return false;
  pid_t tid = thread_area_tid((char*)thread);
  if (tid >= kVirtualTidBase) return true;
  // In a call on a robust mutex or the like it bears its OS thread's number (sync/foreign.cpp).
  VThread* v = vthread_of((char*)thread);
  return tid > 0 && *(Self**)((char*)thread + self_offset()) == v;
}

int thread_create(pthread_t* thread, const pthread_attr_t* attr, void* (*start)(void*), void* arg) noexcept {
  if (!active() || (origin_of(start) & kNative)) return -libc_calls.pthread_create(thread, attr, start, arg);
  count_thread(1);  // first of all: the runtime doesn't stop from here on
  if (!runtime_start()) {
    count_thread(-1);
    return -libc_calls.pthread_create(thread, attr, start, arg);
  }
  if (static_tls_is_behind()) {
    static_tls_sync();
    slots_look_at_libraries();
  }
  Wanted w = read_attr(attr);
  if (w.error) return count_thread(-1), w.error;
  uint32_t loads = static_tls_loads();
  VThread* v = unit_acquire(w.stack ? kPage : w.stack_size);  // it may wait for locks of libc's: not in a section
  RuntimeSection section;
  if (!v) {
    count_thread(-1);
    return -EAGAIN;
  }
  prepare(v, w, start, arg);
  v->loads_seen = loads;
  *thread = v->handle();  // before it can run
  schedule_new(v, carrier_here());
  return 0;
}

// ---------------------------------------------------------------- the end

namespace {
/// Joined or detached after its end.
void release(VThread* v) noexcept {
  if (!v->is_main) unit_release(v);
}
}  // namespace

void thread_note_end(VThread* v, Carrier* here) noexcept {
  Bucket& b = bucket_of(&v->done);
  WaitNode* joiner;
  bool detached;
  {
    LockGuard guard(b.lock);
    __atomic_store_n(&v->done, 1u, __ATOMIC_RELAXED);
    detached = v->detached;
    joiner = v->joining ? b.first(&v->done, ParkReason::kJoin) : nullptr;
    if (joiner) b.remove(joiner, WaitResult::kWoken);
  }
  if (detached) release(v);
  else if (joiner) wake(joiner, here);
}

void thread_ended(VThread* v, Carrier* here) noexcept {
#if defined(__SANITIZE_THREAD__)
  __tsan_destroy_fiber(v->fiber.tsan);
#endif
  thread_note_end(v, here);
  count_thread(-1);
}

int thread_join(pthread_t thread, void** result, clockid_t clock, const timespec* deadline) {
  VThread* v = thread_of(thread);
  if (deadline && !sys::valid(*deadline)) return -EINVAL;
  RuntimeSection section;
  if (current() == v) return -EDEADLK;
  WaitNode node(section.self_ptr(), ParkReason::kJoin);
  node.cancellable = true;
  Bucket& b = bucket_of(&v->done);
  {
    LockGuard guard(b.lock);
    if (v->detached || v->joining) return -EINVAL;
    v->joining = true;
    if (!v->done) b.push_back(&node, &v->done);
  }
  while (node.key.load(std::memory_order_relaxed)) {
    WaitResult r = wait_on(node, clock, deadline);
    if (r == WaitResult::kWoken) break;
    LockGuard guard(b.lock);
    if (v->done) break;
    if (r != WaitResult::kAgain) {
      v->joining = false;
      return r == WaitResult::kTimedOut ? -ETIMEDOUT : -EINTR;
    }
    b.push_back(&node, &v->done);
  }
  if (result) *result = v->result;
  release(v);
  return 0;
}

int thread_try_join(pthread_t thread, void** result) noexcept {
  VThread* v = thread_of(thread);
  RuntimeSection section;
  {
    LockGuard guard(bucket_of(&v->done).lock);
    if (!v->done) return -EBUSY;
    if (v->detached || v->joining) return -EINVAL;
    v->joining = true;
  }
  if (result) *result = v->result;
  release(v);
  return 0;
}

int thread_detach(pthread_t thread) noexcept {
  VThread* v = thread_of(thread);
  RuntimeSection section;
  {
    LockGuard guard(bucket_of(&v->done).lock);
    if (v->detached) return -EINVAL;
    if (v->joining) return 0;  // as glibc: the joiner takes it
    v->detached = true;
    if (!v->done) return 0;
  }
  release(v);
  return 0;
}

void thread_set_result(void* value) noexcept {
  VThread* v = current();
  if (!v) v = vthread_of(thread_area_self(sys::thread_pointer()));  // a forked child's
  v->result = value;
  v->result_set = true;
}

void thread_platform_exits() noexcept {
  if (getpid() == (pid_t)sys::raw(SYS_gettid) && carrier_count()) monitor_main_exited();
}

// ---------------------------------------------------------------- attributes

int thread_get_attr(pthread_t thread, pthread_attr_t* attr) noexcept {
  auto* v = vthread_of((char*)thread);
  if (int r = pthread_attr_init(attr)) return -r;
  pthread_attr_setstack(attr, v->used_stack, v->used_stack_size);
  pthread_attr_setguardsize(attr, v->stack_is_users ? 0 : v->guard_size);
  pthread_attr_setdetachstate(attr, v->detached ? PTHREAD_CREATE_DETACHED : PTHREAD_CREATE_JOINABLE);
  sched_param param = {.sched_priority = v->priority};
  pthread_attr_setschedpolicy(attr, v->policy);
  pthread_attr_setschedparam(attr, &param);
  cpu_set_t affinity;
  if (thread_get_affinity(thread, sizeof affinity, &affinity) == 0) pthread_attr_setaffinity_np(attr, sizeof affinity, &affinity);
  return 0;
}

void thread_defaults_changed() noexcept {
  default_stack_size.store(0, std::memory_order_relaxed);
  defaults_set.store(true, std::memory_order_release);
}

int thread_get_policy(pthread_t thread, int* policy, int* priority) noexcept {
  VThread* v = vthread_of((char*)thread);
  *policy = __atomic_load_n(&v->policy, __ATOMIC_RELAXED);
  *priority = __atomic_load_n(&v->priority, __ATOMIC_RELAXED);
  return 0;
}

int thread_set_policy(pthread_t thread, int policy, int priority) noexcept {
  VThread* v = vthread_of((char*)thread);
  if (int r = policy_judge(policy, priority); r < 0) return r;
  __atomic_store_n(&v->policy, policy, __ATOMIC_RELAXED);
  __atomic_store_n(&v->priority, priority, __ATOMIC_RELAXED);
  return 0;
}

int thread_set_name(pthread_t thread, const char* name) noexcept {
  size_t n = strlen(name);
  char padded[16] = {};
  if (n >= sizeof padded) return -ERANGE;
  memcpy(padded, name, n);
  vthread_of((char*)thread)->set_name(padded);
  return 0;
}

int thread_get_name(pthread_t thread, char* buffer, size_t size) noexcept {
  char name[16];
  vthread_of((char*)thread)->get_name(name);
  size_t n = strlen(name);
  if (size < sizeof name) return -ERANGE;  // whatever it is
  memcpy(buffer, name, n + 1);
  return 0;
}

void* (*thread_start_routine() noexcept)(void*) {
  VThread* v = current();
  return v ? v->start : nullptr;
}

pid_t thread_id() noexcept {
  VThread* v = current();
  if (!v) return (pid_t)sys::raw(SYS_gettid);
  return v->is_main ? own_tid() : v->id.load(std::memory_order_relaxed);
}

void thread_exit_now() noexcept {
  VThread* v = current();
  v->result = nullptr;
  foreign_thread_ends(v);
  v->depth = 1;
  leave_for_ever();
}

// ---------------------------------------------------------------- what children inherit

void mask_expose(sigset_t* saved) noexcept {
  blocking_leave();
  uint64_t old = 0, mask = current()->signal_mask.load(std::memory_order_relaxed);
  ++current()->pins;
  sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &mask, &old, sizeof mask);
  memcpy(saved, &old, sizeof old);
}

void mask_restore(const sigset_t* saved) noexcept {
  sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, saved, nullptr, sizeof(uint64_t));
  --current()->pins;
}

}  // namespace vt
