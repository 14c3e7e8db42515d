#include "core/set_id.h"

#include <signal.h>

#include <atomic>

#include "core/scheduler.h"
#include "sys/fs_base.h"

namespace vt {
namespace {

constexpr int kSetId = 33;  // SIGSETXID, glibc's second internal signal

/// The kernel's struct sigaction.
struct Action {
  void (*handler)(int, siginfo_t*, void*);
  unsigned long flags;
  void (*restorer)();
  uint64_t mask;
};
void (*libc_handler)(int, siginfo_t*, void*) = nullptr;

/// OS threads of ours, each in a slot that it writes itself. Found by the kernel's id: nothing in TLS is worth anything in a handler
/// on a carrier, whose mounted area may be that of a thread that runs elsewhere by now.
struct Slot {
  std::atomic<int> tid{0};
  char* tp = nullptr;
};
constexpr int kSlots = 2048;  // carriers, and threads for blocking calls: some 800 at the most
Slot slots[kSlots];

Slot* find(int tid) noexcept {
  for (Slot& s : slots)
    if (s.tid.load(std::memory_order_relaxed) == tid) return &s;
  return nullptr;
}

void on_set_id(int signal, siginfo_t* info, void* context) noexcept {
  Slot* s = find((int)sys::raw(SYS_gettid));
  char* mounted = sys::thread_pointer();
  bool other = s && s->tp != mounted;
  if (other) mount_area(s->tp);
  libc_handler(signal, info, context);
  if (other) mount_area(mounted);
}

}  // namespace

void set_id_install() noexcept {
  Action a{};
  if (sys::raw(SYS_rt_sigaction, kSetId, nullptr, &a, 8) < 0 || !a.handler || a.handler == on_set_id) return;
  libc_handler = a.handler;
  a.handler = on_set_id;
  a.flags |= SA_ONSTACK;
  a.mask = ~0ul;  // nobody is ejected, or kicked, under the wrong area
  sys::raw(SYS_rt_sigaction, kSetId, &a, nullptr, 8);
}

void set_id_own_area(char* tp) noexcept {
  int tid = (int)sys::raw(SYS_gettid);
  Slot* s = find(tid);
  if (tp && !s) {
    for (Slot& free : slots) {
      int none = 0;
      if (!free.tid.compare_exchange_strong(none, -1, std::memory_order_relaxed)) continue;
      s = &free;
      break;
    }
  }
  if (!s) return;
  s->tp = tp;
  std::atomic_signal_fence(std::memory_order_seq_cst);  // only this thread and its handlers look
  s->tid.store(tp ? tid : 0, std::memory_order_relaxed);
}

void set_id_after_fork() noexcept {
  for (Slot& s : slots) s.tid.store(0, std::memory_order_relaxed);
}

}  // namespace vt
