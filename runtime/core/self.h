// Who runs: the part that virtual and platform threads share, and the section counter that keeps signal handlers
// out of the runtime's locks. Layer: core.
//
// `vt_self` is an initial-exec TLS variable: it lies in each thread area, so a virtual thread finds itself wherever it is
// mounted. It is null in the scheduler's own eyes: the scheduler must not read it (rule 5), and in a platform thread
// until that first needs it.
#pragma once

#include <stdint.h>

#include <atomic>

namespace vt {

struct VThread;

/// A thread that can wait.
struct Self {
  bool is_virtual = false;
  uint8_t deferred_count = 0;
  /// > 0: this thread is inside the runtime and may hold one of its locks. Only its own thread and its signal handlers look.
  volatile uint32_t depth = 0;
  static constexpr int kMaxDeferred = 14;
  /// Semaphores that a signal handler posted, and futex words (| 1) that it woke, while depth > 0: the rest is done when the section ends.
  void* deferred[kMaxDeferred] = {};
  /// What may stand among them beside semaphores: a signal for main has come; main has a siglongjmp to make.
  static inline void* const kAttention = (void*)2;
  static inline void* const kJump = (void*)1;
  /// A library was loaded: static_tls_touch().
  static inline void* const kTls = (void*)4;
  /// A virtual thread has signals of its own pending.
  static inline void* const kSignals = (void*)3;
  /// A virtual thread may have been cancelled asynchronously: cancel_act().
  static inline void* const kCancel = (void*)5;
  /// The last one, null if there is none. A handler may push meanwhile: the entry is read before the count is let go.
  void* pop_deferred() noexcept {
    while (uint8_t n = __atomic_load_n(&deferred_count, __ATOMIC_RELAXED)) {
      void* what = deferred[n - 1];
      if (__atomic_compare_exchange_n(&deferred_count, &n, (uint8_t)(n - 1), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) return what;
    }
    return nullptr;
  }
  void defer_once(void* what) noexcept {
    if (deferred_count == kMaxDeferred || has_deferred(what)) return;
    deferred[deferred_count] = what;
    deferred_count = (uint8_t)(deferred_count + 1);
  }
  bool has_deferred(void* what) const noexcept {
    for (int i = 0; i < deferred_count; ++i)
      if (deferred[i] == what) return true;
    return false;
  }
};

struct PlatformThread : Self {
  uint32_t handlers = 0;    // of the program's that have run on it; main's, too
  uint64_t forks = 0;       // those that its thread is in: core/runtime.cpp
  VThread* over = nullptr;  // the virtual thread whose instruction raised the signal that is being handled
};

extern "C" {
extern __thread Self* vt_self __attribute__((tls_model("initial-exec"), visibility("hidden")));
extern __thread PlatformThread vt_platform __attribute__((tls_model("initial-exec"), visibility("hidden")));
}

/// @thread any in user context @signal safe
inline Self* self() noexcept {
  if (Self* s = vt_self) return s;
  return vt_self = &vt_platform;
}
inline VThread* current() noexcept;  // in vthread.h: null on a platform thread

void run_deferred(Self* s) noexcept;
/// The rest of a sem_post that a handler made on top of the runtime; or, with bit 0 set, a futex word's wake-up. @thread scheduler
void sem_hand_over(void* sem, struct Carrier* here) noexcept;

/// What the runtime does on a program's thread, and every lock it takes there, stands in one of these. A signal handler
/// that interrupts a section finds depth > 0 and keeps out. May span a park.
class RuntimeSection {
 public:
  RuntimeSection() noexcept : self_(self()) { enter(self_); }
  ~RuntimeSection() { leave(self_); }
  /// For sections that are no scopes.
  static void enter(Self* s) noexcept {
    s->depth = s->depth + 1;
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  static void leave(Self* s) noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    uint32_t left = s->depth - 1;
    s->depth = left;
    if (__builtin_expect(left == 0 && s->deferred_count, 0)) run_deferred(s);
  }
  RuntimeSection(const RuntimeSection&) = delete;
  RuntimeSection& operator=(const RuntimeSection&) = delete;
  Self* self_ptr() const noexcept { return self_; }

 private:
  Self* self_;
};

}  // namespace vt
