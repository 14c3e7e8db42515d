// Mutexes, condition variables, semaphores, read-write locks, barriers, spin locks: ours for every thread of the process, virtual or
// not (DESIGN.md rules 6 to 8). Process-shared, robust and priority-inheriting ones are glibc's, announced as blocking.
#include "shim/real.h"
#include "sync/fast.h"

using vt::shim::cancellation_point;
using vt::shim::errno_result;

namespace {
/// glibc's function on a foreign object, off the carrier.
template <class Call>
int announced(Call&& call) {
  int r = 0, e = 0;
  vt::blocking([&] {
    r = call();
    e = errno;
  });
  if (r == -1) errno = e;
  return r;
}
}  // namespace

// ---------------------------------------------------------------- mutexes

namespace {
/// libc's own call on a mutex that is bound to an OS thread, which waits in place. What it returns locked stays pinned.
template <class Call>
int bound(pthread_mutex_t* m, Call&& call) {
  if (int r = vt::foreign_begin(); r < 0) return -r;
  int r = 0;
  // Not pthread_mutex_trylock: once it has said ENOTRECOVERABLE it says EBUSY.
  if (__atomic_load_n(&m->__data.__lock, __ATOMIC_RELAXED) == 0) r = call();
  else vt::blocking([&] { r = call(); });
  vt::foreign_end(r == 0 || r == EOWNERDEAD);
  return r;
}
/// One that locks nothing, or unlocks.
template <class Call>
int bound_short(Call&& call) {
  if (int r = vt::foreign_begin(); r < 0) return -r;
  int r = call();
  vt::foreign_end(false);
  return r;
}
bool is_bound(const pthread_mutex_t* m) { return vt::active() && vt::mutex_is_bound(m); }
}  // namespace

VT_EXPORT int pthread_mutex_lock(pthread_mutex_t* m) {
  if (vt::mutex_lock_fast(m)) return 0;
  if (vt::active() && !vt::mutex_is_foreign(m)) return -vt::mutex_lock(m);
  if (is_bound(m)) return bound(m, [&] { return VT_REAL(pthread_mutex_lock)(m); });
  if (!vt::can_park()) return VT_REAL(pthread_mutex_lock)(m);
  int r = VT_REAL(pthread_mutex_trylock)(m);
  return r != EBUSY ? r : announced([&] { return VT_REAL(pthread_mutex_lock)(m); });
}
VT_EXPORT int pthread_mutex_trylock(pthread_mutex_t* m) {
  if (vt::active() && !vt::mutex_is_foreign(m)) return -vt::mutex_trylock(m);
  if (is_bound(m)) return bound(m, [&] { return VT_REAL(pthread_mutex_trylock)(m); });
  return VT_REAL(pthread_mutex_trylock)(m);
}
VT_EXPORT int pthread_mutex_clocklock(pthread_mutex_t* m, clockid_t clock, const timespec* deadline) {
  if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) return EINVAL;
  if (vt::active() && !vt::mutex_is_foreign(m)) return -vt::mutex_timedlock(m, clock, deadline);
  if (is_bound(m)) return bound(m, [&] { return VT_REAL(pthread_mutex_clocklock)(m, clock, deadline); });
  return announced([&] { return VT_REAL(pthread_mutex_clocklock)(m, clock, deadline); });
}
VT_EXPORT int pthread_mutex_timedlock(pthread_mutex_t* m, const timespec* deadline) {
  if (vt::active() && !vt::mutex_is_foreign(m)) return -vt::mutex_timedlock(m, CLOCK_REALTIME, deadline);
  if (is_bound(m)) return bound(m, [&] { return VT_REAL(pthread_mutex_timedlock)(m, deadline); });
  return announced([&] { return VT_REAL(pthread_mutex_timedlock)(m, deadline); });
}
VT_EXPORT int pthread_mutex_unlock(pthread_mutex_t* m) {
  if (vt::mutex_unlock_fast(m)) return 0;
  if (vt::active() && !vt::mutex_is_foreign(m)) return -vt::mutex_unlock(m);
  if (!is_bound(m)) return VT_REAL(pthread_mutex_unlock)(m);
  int r = bound_short([&] { return VT_REAL(pthread_mutex_unlock)(m); });
  if (r == 0) vt::foreign_let_go();
  return r;
}
VT_EXPORT int pthread_mutex_consistent(pthread_mutex_t* m) {
  if (!is_bound(m)) return VT_REAL(pthread_mutex_consistent)(m);
  return bound_short([&] { return VT_REAL(pthread_mutex_consistent)(m); });
}
VT_EXPORT int pthread_mutex_setprioceiling(pthread_mutex_t* m, int ceiling, int* old) {
  if (!is_bound(m)) return VT_REAL(pthread_mutex_setprioceiling)(m, ceiling, old);
  return bound_short([&] {
    int r = 0;
    vt::blocking([&] { r = VT_REAL(pthread_mutex_setprioceiling)(m, ceiling, old); });
    return r;
  });
}
VT_EXPORT int __pthread_mutex_lock(pthread_mutex_t* m) { return pthread_mutex_lock(m); }
VT_EXPORT int __pthread_mutex_trylock(pthread_mutex_t* m) { return pthread_mutex_trylock(m); }
VT_EXPORT int __pthread_mutex_unlock(pthread_mutex_t* m) { return pthread_mutex_unlock(m); }

// ---------------------------------------------------------------- condition variables

namespace {
bool good_nanoseconds(const timespec& t) { return t.tv_nsec >= 0 && t.tv_nsec < 1000000000; }
bool cond_is_ours(const pthread_cond_t* c, const pthread_mutex_t* m) {
  return vt::active() && !vt::cond_is_foreign(c) && !(m && vt::mutex_is_foreign(m));
}
}  // namespace

namespace {
/// Cancelled, with the mutex held again: acted on here; if it isn't, this was a spurious wake-up.
int cond_result(int r) {
  if (r != -EINTR) return -r;
  pthread_testcancel();
  return 0;
}
}  // namespace

namespace {
// The mutexes of libc's that stand for ours in its waits on process-shared conds: the cond's gate. A waiter takes it, lets ours go, and waits
// with it; who signals takes it, too, so whoever has had our mutex since then finds the waiter queued.
constexpr unsigned kGateBits = 6;
pthread_mutex_t gates[1 << kGateBits];  // all zeros: PTHREAD_MUTEX_INITIALIZER
std::atomic<bool> gates_used{false};

pthread_mutex_t* gate_of(const pthread_cond_t* c) { return &gates[(uintptr_t)c * 0x9e3779b97f4a7c15u >> (64 - kGateBits)]; }

struct AtGate {
  pthread_mutex_t *gate, *mutex;
  volatile bool entered, let_go;
};
/// The wait has ended; or a cancellation unwinds it (we have no destructors then: -fno-exceptions), and the program's cleanup handlers come next.
void leave_gate(void* p) {
  auto* at = static_cast<AtGate*>(p);
  if (at->entered) VT_REAL(pthread_mutex_unlock)(at->gate);
  if (at->let_go) pthread_mutex_lock(at->mutex);
}

template <class Call>
int wait_at_gate(pthread_cond_t* c, pthread_mutex_t* m, Call&& call) {
  // The threads that held any aren't in a forked child.
  if (!gates_used.exchange(true, std::memory_order_relaxed)) pthread_atfork(nullptr, nullptr, [] { memset(gates, 0, sizeof gates); });
  AtGate at{gate_of(c), m, false, false};
  int r = 0;
  pthread_cleanup_push(leave_gate, &at);
  r = announced([&] {
    VT_REAL(pthread_mutex_lock)(at.gate);
    at.entered = true;
    int e = -vt::mutex_unlock(m);
    if (e == 0) {
      at.let_go = true;
      e = call(at.gate);
    }
    VT_REAL(pthread_mutex_unlock)(at.gate);
    at.entered = false;
    return e;
  });
  pthread_cleanup_pop(1);
  return r;
}

/// libc's signal or broadcast on a cond of its own.
template <class Call>
int signal_foreign(pthread_cond_t* c, Call&& call) {
  if (!gates_used.load(std::memory_order_relaxed)) return call(c);
  VT_REAL(pthread_mutex_lock)(gate_of(c));  // held for moments
  int r = call(c);
  VT_REAL(pthread_mutex_unlock)(gate_of(c));
  return r;
}

/// The cond or the mutex is libc's: our queue, and its mutex; or its own wait, `call(mutex)`.
template <class Call>
int wait_foreign(pthread_cond_t* c, pthread_mutex_t* m, clockid_t clock, const timespec* deadline, Call&& call) {
  if (vt::active() && !vt::cond_is_foreign(c))
    return cond_result(vt::cond_wait_around(c, m, clock, deadline, pthread_mutex_unlock, pthread_mutex_lock));
  if (vt::active() && !vt::mutex_is_foreign(m)) return wait_at_gate(c, m, call);
  if (!is_bound(m)) return announced([&] { return call(m); });
  if (int r = vt::foreign_begin(); r < 0) return -r;
  int r = announced([&] { return call(m); });
  vt::foreign_end(false);
  if (r == ENOTRECOVERABLE) vt::foreign_let_go();
  return r;
}
}  // namespace

VT_EXPORT int pthread_cond_wait(pthread_cond_t* c, pthread_mutex_t* m) {
  cancellation_point();
  if (cond_is_ours(c, m)) return cond_result(vt::cond_wait(c, m, CLOCK_MONOTONIC, nullptr));
  return wait_foreign(c, m, CLOCK_MONOTONIC, nullptr, [&](pthread_mutex_t* with) { return VT_REAL(pthread_cond_wait)(c, with); });
}
VT_EXPORT int pthread_cond_timedwait(pthread_cond_t* c, pthread_mutex_t* m, const timespec* deadline) {
  cancellation_point();
  if (!good_nanoseconds(*deadline)) return EINVAL;
  if (cond_is_ours(c, m)) return cond_result(vt::cond_wait(c, m, vt::cond_clock(c), deadline));
  return wait_foreign(c, m, vt::cond_clock(c), deadline, [&](pthread_mutex_t* with) { return VT_REAL(pthread_cond_timedwait)(c, with, deadline); });
}
VT_EXPORT int pthread_cond_clockwait(pthread_cond_t* c, pthread_mutex_t* m, clockid_t clock, const timespec* deadline) {
  cancellation_point();
  if (!good_nanoseconds(*deadline) || (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)) return EINVAL;
  if (cond_is_ours(c, m)) return cond_result(vt::cond_wait(c, m, clock, deadline));
  return wait_foreign(c, m, clock, deadline, [&](pthread_mutex_t* with) { return VT_REAL(pthread_cond_clockwait)(c, with, clock, deadline); });
}
VT_EXPORT int pthread_cond_signal(pthread_cond_t* c) {
  return cond_is_ours(c, nullptr) ? -vt::cond_signal(c) : signal_foreign(c, VT_REAL(pthread_cond_signal));
}
VT_EXPORT int pthread_cond_broadcast(pthread_cond_t* c) {
  return cond_is_ours(c, nullptr) ? -vt::cond_broadcast(c) : signal_foreign(c, VT_REAL(pthread_cond_broadcast));
}
VT_EXPORT int pthread_cond_destroy(pthread_cond_t* c) {
  return cond_is_ours(c, nullptr) ? -vt::cond_destroy(c) : VT_REAL(pthread_cond_destroy)(c);
}

// ---------------------------------------------------------------- semaphores

VT_EXPORT int sem_wait(sem_t* s) {
  cancellation_point();
  if (vt::active() && !vt::sem_is_foreign(s)) return (int)errno_result(vt::sem_acquire(s, CLOCK_MONOTONIC, nullptr));
  if (!vt::can_park()) return VT_REAL(sem_wait)(s);
  if (VT_REAL(sem_trywait)(s) == 0) return 0;
  return announced([&] { return VT_REAL(sem_wait)(s); });
}
VT_EXPORT int sem_trywait(sem_t* s) {
  if (vt::active() && !vt::sem_is_foreign(s)) return (int)errno_result(vt::sem_try(s));
  return VT_REAL(sem_trywait)(s);
}
VT_EXPORT int sem_clockwait(sem_t* s, clockid_t clock, const timespec* deadline) {
  cancellation_point();
  if ((clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) || !good_nanoseconds(*deadline)) return (int)errno_result(-EINVAL);
  if (vt::active() && !vt::sem_is_foreign(s)) return (int)errno_result(vt::sem_acquire(s, clock, deadline));
  return announced([&] { return VT_REAL(sem_clockwait)(s, clock, deadline); });
}
VT_EXPORT int sem_timedwait(sem_t* s, const timespec* deadline) {
  cancellation_point();
  if (!good_nanoseconds(*deadline)) return (int)errno_result(-EINVAL);
  if (vt::active() && !vt::sem_is_foreign(s)) return (int)errno_result(vt::sem_acquire(s, CLOCK_REALTIME, deadline));
  return announced([&] { return VT_REAL(sem_timedwait)(s, deadline); });
}
VT_EXPORT int sem_post(sem_t* s) {
  if (vt::active() && !vt::sem_is_foreign(s)) return (int)errno_result(vt::sem_release(s));
  return VT_REAL(sem_post)(s);
}

// ---------------------------------------------------------------- read-write locks

namespace {
bool rw_is_ours(const pthread_rwlock_t* l) { return vt::active() && !vt::rwlock_is_foreign(l); }
bool good_clock(clockid_t clock) { return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC; }
}  // namespace

VT_EXPORT int pthread_rwlock_rdlock(pthread_rwlock_t* l) {
  if (rw_is_ours(l)) return -vt::rwlock_read(l, CLOCK_MONOTONIC, nullptr);
  return announced([&] { return VT_REAL(pthread_rwlock_rdlock)(l); });
}
VT_EXPORT int pthread_rwlock_wrlock(pthread_rwlock_t* l) {
  if (rw_is_ours(l)) return -vt::rwlock_write(l, CLOCK_MONOTONIC, nullptr);
  return announced([&] { return VT_REAL(pthread_rwlock_wrlock)(l); });
}
VT_EXPORT int pthread_rwlock_clockrdlock(pthread_rwlock_t* l, clockid_t clock, const timespec* deadline) {
  if (!good_clock(clock) || !good_nanoseconds(*deadline)) return EINVAL;
  if (rw_is_ours(l)) return -vt::rwlock_read(l, clock, deadline);
  return announced([&] { return VT_REAL(pthread_rwlock_clockrdlock)(l, clock, deadline); });
}
VT_EXPORT int pthread_rwlock_clockwrlock(pthread_rwlock_t* l, clockid_t clock, const timespec* deadline) {
  if (!good_clock(clock) || !good_nanoseconds(*deadline)) return EINVAL;
  if (rw_is_ours(l)) return -vt::rwlock_write(l, clock, deadline);
  return announced([&] { return VT_REAL(pthread_rwlock_clockwrlock)(l, clock, deadline); });
}
VT_EXPORT int pthread_rwlock_timedrdlock(pthread_rwlock_t* l, const timespec* deadline) {
  return pthread_rwlock_clockrdlock(l, CLOCK_REALTIME, deadline);
}
VT_EXPORT int pthread_rwlock_timedwrlock(pthread_rwlock_t* l, const timespec* deadline) {
  return pthread_rwlock_clockwrlock(l, CLOCK_REALTIME, deadline);
}
VT_EXPORT int pthread_rwlock_tryrdlock(pthread_rwlock_t* l) {
  return rw_is_ours(l) ? -vt::rwlock_try_read(l) : VT_REAL(pthread_rwlock_tryrdlock)(l);
}
VT_EXPORT int pthread_rwlock_trywrlock(pthread_rwlock_t* l) {
  return rw_is_ours(l) ? -vt::rwlock_try_write(l) : VT_REAL(pthread_rwlock_trywrlock)(l);
}
VT_EXPORT int pthread_rwlock_unlock(pthread_rwlock_t* l) {
  return rw_is_ours(l) ? -vt::rwlock_unlock(l) : VT_REAL(pthread_rwlock_unlock)(l);
}
VT_EXPORT int __pthread_rwlock_rdlock(pthread_rwlock_t* l) { return pthread_rwlock_rdlock(l); }
VT_EXPORT int __pthread_rwlock_wrlock(pthread_rwlock_t* l) { return pthread_rwlock_wrlock(l); }
VT_EXPORT int __pthread_rwlock_unlock(pthread_rwlock_t* l) { return pthread_rwlock_unlock(l); }

// ---------------------------------------------------------------- barriers, spin locks

VT_EXPORT int pthread_barrier_init(pthread_barrier_t* b, const pthread_barrierattr_t* attr, unsigned count) {
  int shared = PTHREAD_PROCESS_PRIVATE;
  if (attr) pthread_barrierattr_getpshared(attr, &shared);
  if (!vt::active() || shared == PTHREAD_PROCESS_SHARED) return VT_REAL(pthread_barrier_init)(b, attr, count);
  return -vt::barrier_init(b, count);
}
VT_EXPORT int pthread_barrier_wait(pthread_barrier_t* b) {
  if (vt::active() && !vt::barrier_is_foreign(b)) return vt::barrier_wait(b);
  return announced([&] { return VT_REAL(pthread_barrier_wait)(b); });
}
VT_EXPORT int pthread_barrier_destroy(pthread_barrier_t* b) {
  if (vt::active() && !vt::barrier_is_foreign(b)) return -vt::barrier_destroy(b);
  return VT_REAL(pthread_barrier_destroy)(b);
}

VT_EXPORT int pthread_spin_lock(pthread_spinlock_t* lock) {
  constexpr int kSpins = 200;
  for (;;) {
    for (int i = 0; i < kSpins; ++i) {
      if (pthread_spin_trylock(lock) == 0) return 0;
      __builtin_ia32_pause();
    }
    vt::yield();  // its holder may wait for our carrier
  }
}

// ---------------------------------------------------------------- C11: glibc calls itself there, so they are taken over with the rest

namespace {
int c11(int error) {
  switch (error) {
    case 0: return thrd_success;
    case EBUSY: return thrd_busy;
    case ENOMEM: return thrd_nomem;
    case ETIMEDOUT: return thrd_timedout;
    default: return thrd_error;
  }
}
pthread_mutex_t* of(mtx_t* m) { return reinterpret_cast<pthread_mutex_t*>(m); }
pthread_cond_t* of(cnd_t* c) { return reinterpret_cast<pthread_cond_t*>(c); }
struct C11Start {
  thrd_start_t start;
  void* argument;
};
void* c11_start(void* p) {
  C11Start s = *static_cast<C11Start*>(p);
  free(p);
  return (void*)(intptr_t)s.start(s.argument);
}
}  // namespace

VT_EXPORT int mtx_lock(mtx_t* m) { return c11(pthread_mutex_lock(of(m))); }
VT_EXPORT int mtx_trylock(mtx_t* m) { return c11(pthread_mutex_trylock(of(m))); }
VT_EXPORT int mtx_timedlock(mtx_t* m, const timespec* deadline) { return c11(pthread_mutex_timedlock(of(m), deadline)); }
VT_EXPORT int mtx_unlock(mtx_t* m) { return c11(pthread_mutex_unlock(of(m))); }
VT_EXPORT int cnd_wait(cnd_t* c, mtx_t* m) { return c11(pthread_cond_wait(of(c), of(m))); }
VT_EXPORT int cnd_timedwait(cnd_t* c, mtx_t* m, const timespec* deadline) {
  return c11(pthread_cond_timedwait(of(c), of(m), deadline));
}
VT_EXPORT int cnd_signal(cnd_t* c) { return c11(pthread_cond_signal(of(c))); }
VT_EXPORT int cnd_broadcast(cnd_t* c) { return c11(pthread_cond_broadcast(of(c))); }
VT_EXPORT int thrd_create(thrd_t* thread, thrd_start_t start, void* arg) {
  auto* s = static_cast<C11Start*>(malloc(sizeof(C11Start)));
  if (!s) return thrd_nomem;
  *s = {start, arg};
  int r = pthread_create(thread, nullptr, c11_start, s);
  if (r) free(s);
  return c11(r == EAGAIN ? ENOMEM : r);
}
VT_EXPORT int thrd_join(thrd_t thread, int* result) {
  void* value = nullptr;
  int r = pthread_join(thread, &value);
  if (result) *result = (int)(intptr_t)value;
  return c11(r);
}
VT_EXPORT int thrd_detach(thrd_t thread) { return c11(pthread_detach(thread)); }
VT_EXPORT void thrd_exit(int result) { pthread_exit((void*)(intptr_t)result); }
VT_EXPORT void thrd_yield() { vt::yield(); }
VT_EXPORT int thrd_sleep(const timespec* time, timespec* left) {
  if (nanosleep(time, left) == 0) return 0;
  return errno == EINTR ? -1 : -2;
}
VT_EXPORT void call_once(once_flag* flag, void (*call)()) { pthread_once(reinterpret_cast<pthread_once_t*>(flag), call); }

// ---------------------------------------------------------------- for once.c

extern "C" __attribute__((visibility("hidden"))) void vt_once_wait(const int* word, int seen) {
  vt::futex_wait(reinterpret_cast<const uint32_t*>(word), (uint32_t)seen, CLOCK_MONOTONIC, nullptr);
}
extern "C" __attribute__((visibility("hidden"))) void vt_once_wake(const int* word) {
  vt::futex_wake(reinterpret_cast<const uint32_t*>(word), INT32_MAX);
}
extern "C" __attribute__((visibility("hidden"))) int vt_is_active() { return vt::active(); }
