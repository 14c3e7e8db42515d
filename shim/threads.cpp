// Threads: creation, end, join, attributes, keys. pthreads(7). A pthread_t of a platform thread goes to glibc.
#include <dlfcn.h>
#include <limits.h>
#include <stdarg.h>

#include "core/thread_area.h"
#include "pyglue/callbacks.h"
#include "shim/real.h"
#include "sys/memory.h"

using vt::shim::cancellation_point;
using vt::shim::errno_result;
using vt::shim::of_os_thread;
using vt::sys::readable;

VT_EXPORT int pthread_create(pthread_t* thread, const pthread_attr_t* attr, void* (*start)(void*), void* arg) {
  if (!vt::active()) {
    vt::native_tell();
    return VT_REAL(pthread_create)(thread, attr, start, arg);
  }
  vt::shim::look_up_all();
  if (vt::pins_callbacks()) vt::python::prepare(start);
  return -vt::thread_create(thread, attr, start, arg);
}

namespace {
int join_here(pthread_t thread, void** result, clockid_t clock, const timespec* deadline) {
  for (;;) {
    int r = vt::thread_join(thread, result, clock, deadline);
    if (r != -EINTR) return -r;
    pthread_testcancel();
  }
}
/// glibc's own join of a platform thread, off the carrier.
template <class Call>
int join_platform(Call&& call) {
  int r = 0;
  vt::blocking([&] { r = call(); });
  return r;
}
}  // namespace

VT_EXPORT int pthread_join(pthread_t thread, void** result) {
  cancellation_point();
  if (vt::is_joined_here(thread)) return join_here(thread, result, CLOCK_MONOTONIC, nullptr);
  return join_platform([&] { return VT_REAL(pthread_join)(thread, result); });
}
VT_EXPORT int pthread_tryjoin_np(pthread_t thread, void** result) {
  if (vt::is_joined_here(thread)) return -vt::thread_try_join(thread, result);
  return VT_REAL(pthread_tryjoin_np)(thread, result);
}
VT_EXPORT int pthread_clockjoin_np(pthread_t thread, void** result, clockid_t clock, const timespec* deadline) {
  cancellation_point();
  if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) return EINVAL;
  if (vt::is_joined_here(thread)) return join_here(thread, result, clock, deadline);
  return join_platform([&] { return VT_REAL(pthread_clockjoin_np)(thread, result, clock, deadline); });
}
VT_EXPORT int pthread_timedjoin_np(pthread_t thread, void** result, const timespec* deadline) {
  return pthread_clockjoin_np(thread, result, CLOCK_REALTIME, deadline);
}
VT_EXPORT int pthread_detach(pthread_t thread) {
  if (vt::is_joined_here(thread)) return -vt::thread_detach(thread);
  return VT_REAL(pthread_detach)(thread);
}
VT_EXPORT void pthread_exit(void* value) {
  if (vt::on_vthread())
    vt::thread_set_result(value);
  else
    vt::thread_platform_exits();
  VT_REAL(pthread_exit)(value);  // unwinds to the thread's first frame, ours or glibc's
  __builtin_unreachable();
}

VT_EXPORT int pthread_cancel(pthread_t thread) {
  vt::shim::anyone_cancelled.store(true, std::memory_order_relaxed);  // whom it wakes sees it: the wake-up comes after
  if (!vt::is_joined_here(thread)) return VT_REAL(pthread_cancel)(thread);
  int r = -vt::thread_cancel(thread);
  if (thread == pthread_self() && vt::thread_is_async()) pthread_testcancel();
  return r;
}
// glibc keeps the state, too, for its own cancellation points; the type stays deferred there, and an asynchronous cancellation is ours (core/cancel.h).
VT_EXPORT int pthread_setcancelstate(int state, int* old) {
  int r = VT_REAL(pthread_setcancelstate)(state, old);
  if (r == 0 && vt::on_vthread()) {
    vt::thread_cancel_state(state, nullptr);
    if (state == PTHREAD_CANCEL_ENABLE && vt::thread_is_async()) pthread_testcancel();
  }
  return r;
}
VT_EXPORT int pthread_setcanceltype(int type, int* old) {
  if (!vt::on_vthread()) return VT_REAL(pthread_setcanceltype)(type, old);
  int r = -vt::thread_cancel_type(type, old);
  if (r == 0 && type == PTHREAD_CANCEL_ASYNCHRONOUS) pthread_testcancel();
  return r;
}

VT_EXPORT int pthread_getattr_np(pthread_t thread, pthread_attr_t* attr) {
  if (vt::is_vthread(thread)) return -vt::thread_get_attr(thread, attr);
  return of_os_thread(thread, [&] { return VT_REAL(pthread_getattr_np)(thread, attr); });
}
VT_EXPORT int pthread_setname_np(pthread_t thread, const char* name) {
  if (vt::is_vthread(thread)) return -vt::thread_set_name(thread, name);
  int r = of_os_thread(thread, [&] { return VT_REAL(pthread_setname_np)(thread, name); });
  vt::thread_note_name();
  return r;
}
VT_EXPORT int pthread_getname_np(pthread_t thread, char* buffer, size_t size) {
  if (vt::is_vthread(thread)) return size >= 16 && !vt::sys::writable(buffer, 16) ? EFAULT : -vt::thread_get_name(thread, buffer, size);
  return of_os_thread(thread, [&] { return VT_REAL(pthread_getname_np)(thread, buffer, size); });
}

// glibc keeps the keys and values; the destructors are noted for virtual threads, whose end glibc doesn't see.
VT_EXPORT int pthread_key_create(pthread_key_t* key, void (*destructor)(void*)) {
  int r = VT_REAL(pthread_key_create)(key, destructor);
  if (r == 0) vt::key_created(*key, destructor);
  return r;
}
VT_EXPORT int __pthread_key_create(pthread_key_t* key, void (*destructor)(void*)) { return pthread_key_create(key, destructor); }
VT_EXPORT int pthread_key_delete(pthread_key_t key) {
  vt::key_deleted(key);
  return VT_REAL(pthread_key_delete)(key);
}
VT_EXPORT int tss_create(tss_t* key, tss_dtor_t destructor) {
  int r = VT_REAL(tss_create)(key, destructor);
  if (r == thrd_success) vt::key_created(*key, destructor);
  return r;
}
VT_EXPORT void tss_delete(tss_t key) {
  vt::key_deleted(key);
  VT_REAL(tss_delete)(key);
}

VT_EXPORT int sched_yield() {
  vt::yield();
  return 0;
}
// <pthread.h> redirects the name pthread_yield to sched_yield; binaries of before glibc 2.34 ask for it still.
VT_EXPORT int vt_pthread_yield() __asm__("pthread_yield");
VT_EXPORT int vt_pthread_yield() { return sched_yield(); }
// For pyglue and programs that want to know (looked up with dlsym): 1 or 0. Any thread, signal safe.
VT_EXPORT int vtshim_active() { return vt::active(); }
VT_EXPORT int vtshim_is_virtual() { return vt::on_vthread(); }
// vtshim.h: 0 or an error number. Not to be called by a signal handler.
VT_EXPORT int vtshim_pin() { return -vt::pin(); }
VT_EXPORT int vtshim_unpin() { return -vt::unpin(); }
VT_EXPORT void vtshim_set_callback_hook(int (*hook)()) { vt::set_callback_hook(hook); }
/// Writes what each virtual thread does to `fd`, a line each: 0, or -1 with write(2)'s errno. Any thread, signal safe.
VT_EXPORT int vtshim_dump(int fd) { return (int)errno_result(vt::dump(fd)); }
VT_EXPORT pid_t gettid() { return vt::thread_id(); }

namespace {
bool means_me(pid_t pid) { return vt::on_vthread() && (pid == 0 || pid == vt::thread_id()); }
/// Main's scheduling policy is its OS thread's.
bool means_me_only(pid_t pid) { return vt::has_virtual_signals() && means_me(pid); }
}  // namespace
VT_EXPORT int sched_getaffinity(pid_t pid, size_t size, cpu_set_t* set) {
  if (!means_me(pid)) return VT_REAL(sched_getaffinity)(pid, size, set);
  return (int)errno_result(vt::thread_get_affinity(pthread_self(), size, set));
}
VT_EXPORT int sched_setaffinity(pid_t pid, size_t size, const cpu_set_t* set) {
  if (means_me(pid)) return (int)errno_result(vt::thread_set_affinity(pthread_self(), size, set));
  vt::affinity_note_platform();
  return VT_REAL(sched_setaffinity)(pid, size, set);
}
VT_EXPORT int pthread_getaffinity_np(pthread_t thread, size_t size, cpu_set_t* set) {
  if (!vt::is_vthread(thread)) return of_os_thread(thread, [&] { return VT_REAL(pthread_getaffinity_np)(thread, size, set); });
  return -vt::thread_get_affinity(thread, size, set);
}
VT_EXPORT int pthread_setaffinity_np(pthread_t thread, size_t size, const cpu_set_t* set) {
  if (vt::is_vthread(thread)) return -vt::thread_set_affinity(thread, size, set);
  vt::affinity_note_platform();
  return of_os_thread(thread, [&] { return VT_REAL(pthread_setaffinity_np)(thread, size, set); });
}

// ---------------------------------------------------------------- scheduling policies: numbers that are kept, sched(7)

namespace {
/// Threads inherit main's.
int noted(int result) {
  vt::thread_note_policy();
  return result;
}
}  // namespace
VT_EXPORT int pthread_getschedparam(pthread_t thread, int* policy, sched_param* param) {
  if (!vt::is_vthread(thread)) return of_os_thread(thread, [&] { return VT_REAL(pthread_getschedparam)(thread, policy, param); });
  return -vt::thread_get_policy(thread, policy, &param->sched_priority);
}
VT_EXPORT int pthread_setschedparam(pthread_t thread, int policy, const sched_param* param) {
  if (!vt::is_vthread(thread)) return noted(of_os_thread(thread, [&] { return VT_REAL(pthread_setschedparam)(thread, policy, param); }));
  if (policy < 0 || !param) return EINVAL;
  if (!readable(param, sizeof *param)) return EFAULT;
  return -vt::thread_set_policy(thread, policy, param->sched_priority);
}
VT_EXPORT int pthread_setschedprio(pthread_t thread, int priority) {
  if (!vt::is_vthread(thread)) return noted(of_os_thread(thread, [&] { return VT_REAL(pthread_setschedprio)(thread, priority); }));
  int policy, old;
  vt::thread_get_policy(thread, &policy, &old);
  return -vt::thread_set_policy(thread, policy, priority);
}
VT_EXPORT int pthread_setattr_default_np(const pthread_attr_t* attr) {
  int r = VT_REAL(pthread_setattr_default_np)(attr);
  vt::thread_defaults_changed();
  return r;
}
VT_EXPORT int sched_getscheduler(pid_t pid) {
  if (!means_me_only(pid)) return VT_REAL(sched_getscheduler)(pid);
  int policy = 0, priority;
  vt::thread_get_policy(pthread_self(), &policy, &priority);
  return policy;
}
VT_EXPORT int sched_getparam(pid_t pid, sched_param* param) {
  if (!means_me_only(pid)) return VT_REAL(sched_getparam)(pid, param);
  if (!vt::sys::writable(param, sizeof *param)) return VT_REAL(sched_getparam)(0, param);
  int policy;
  return vt::thread_get_policy(pthread_self(), &policy, &param->sched_priority);
}
VT_EXPORT int sched_setscheduler(pid_t pid, int policy, const sched_param* param) {
  if (!means_me_only(pid)) return noted(VT_REAL(sched_setscheduler)(pid, policy, param));
  if (!readable(param, sizeof *param)) return VT_REAL(sched_setscheduler)(0, policy, param);
  return (int)errno_result(vt::thread_set_policy(pthread_self(), policy, param->sched_priority));
}
VT_EXPORT int sched_setparam(pid_t pid, const sched_param* param) {
  if (!means_me_only(pid)) return noted(VT_REAL(sched_setparam)(pid, param));
  if (!readable(param, sizeof *param)) return VT_REAL(sched_setparam)(0, param);
  return (int)errno_result(vt::thread_set_policy(pthread_self(), sched_getscheduler(0), param->sched_priority));
}

// ---------------------------------------------------------------- dlopen: new static TLS into the areas that exist

VT_EXPORT void* dlopen(const char* file, int mode) {
  // A name without a slash is searched for by the caller's RUNPATH: the call must look like the caller's own, so it's a
  // jump, and the new areas are looked after at the next occasion. With a slash we return here first.
  if (!file || !strchr(file, '/')) {
    vt::static_tls_note_load();
    if (vt::active()) vt::static_tls_show();
    return VT_REAL(dlopen)(file, mode);
  }
  if (!vt::active()) return VT_REAL(dlopen)(file, mode);
  vt::static_tls_load_begins();
  void* handle = VT_REAL(dlopen)(file, mode);
  vt::static_tls_load_ends();
  if (handle) vt::static_tls_sync();
  return handle;
}
// Into another namespace: a jump, likewise.
VT_EXPORT void* dlmopen(Lmid_t space, const char* file, int mode) {
  vt::static_tls_note_load();
  if (vt::active()) vt::static_tls_show();
  return VT_REAL(dlmopen)(space, file, mode);
}
