// Masks of virtual threads, and what the kernel must know of them: SIGPIPE, which it sends to the OS thread that
// writes. The OS thread's mask follows who runs there, and what is pending there leaves with its thread. Layer: core.
// HACKING.md: "Signals of the other threads".
#include <signal.h>
#include <unistd.h>

#include "api.h"
#include "core/carrier.h"
#include "core/main_signals.h"
#include "core/thread_signals.h"
#include "sys/raw.h"
#include "sys/signal_bits.h"

namespace vt {
namespace {

constexpr uint64_t kPipe = sys::bit(SIGPIPE);
/// What is pending on this OS thread. False: nothing.
bool take_pipe(siginfo_t* info) noexcept {
  timespec none{};
  return sys::raw(SYS_rt_sigtimedwait, &kPipe, info, &none, sizeof kPipe) == SIGPIPE;
}

/// A SIGPIPE that was pending on an OS thread is main's, who blocks it. In a section, or @thread scheduler
void main_takes_pipe(const siginfo_t& info) noexcept {
  MainThread* m = main_thread();
  if (!m) return;
  signals_queue(m, SIGPIPE, info);
  auto blocked = PipeMask::kMains;
  __atomic_compare_exchange_n(&m->pipe, &blocked, PipeMask::kTaken, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/// It's pending on the main OS thread again. Gives what that one is now. @thread scheduler of carrier 0
PipeMask main_gives_pipe_back(MainThread* m, Carrier* c) noexcept {
  siginfo_t info{};
  if (signals_take(m, kPipe, &info)) sys::raw(SYS_rt_tgsigqueueinfo, getpid(), c->os_tid, SIGPIPE, &info);
  __atomic_store_n(&m->pipe, PipeMask::kMains, __ATOMIC_RELAXED);
  return PipeMask::kMains;
}

}  // namespace

void signals_follow_mask(Carrier* c, VThread* v) noexcept {
  siginfo_t info{};
  if (c->pipe == PipeMask::kMains) {
    if (take_pipe(&info)) main_takes_pipe(info);
  } else if (c->pipe == PipeMask::kBlocked) {
    take_pipe(&info);  // what an unannounced write left was its own thread's, who is gone
  }
  bool blocks = v->pipe != PipeMask::kOpen;
  if (blocks != (c->pipe != PipeMask::kOpen))
    sys::raw(SYS_rt_sigprocmask, blocks ? SIG_BLOCK : SIG_UNBLOCK, &kPipe, nullptr, sizeof kPipe);
  c->pipe = v->pipe;
  if (!v->is_main || !blocks) return;
  if (c->is_blocking)
    c->pipe = PipeMask::kBlocked;  // signal_take_pipe() has what is left there
  else if (v->pipe == PipeMask::kTaken)
    c->pipe = main_gives_pipe_back(static_cast<MainThread*>(v), c);
}

void signals_set_mask(VThread* v, uint64_t mask) noexcept {
  v->signal_mask.store(mask & ~(sys::kUnmaskable | sys::kLibcSignals), std::memory_order_seq_cst);
  if (v->is_main && !v->carrier->is_blocking) {
    mask &= ~(sys::kUnmaskable | sys::kLibcSignals | runtime_signals());
    signals_main_unblocks(mask);
    sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, sizeof mask);
    return signals_note_main_mask(mask);
  }
  bool blocks_pipe = mask & kPipe;
  if ((v->pipe != PipeMask::kOpen) != blocks_pipe) {
    if (!blocks_pipe) signal_take_pipe();
    RuntimeSection section;
    v->pipe = !blocks_pipe ? PipeMask::kOpen : v->is_main ? PipeMask::kMains : PipeMask::kBlocked;
    signals_follow_mask(v->carrier, v);
  }
  signals_note_unblocked(mask);
}

void signal_take_pipe() noexcept {
  VThread* v = current();
  if (!v || v->pipe == PipeMask::kOpen || (v->is_main && !v->carrier->is_blocking)) return;
  siginfo_t info{};
  if (!take_pipe(&info)) return;
  RuntimeSection section;
  if (v->is_main)
    main_takes_pipe(info);
  else
    signals_queue(v, SIGPIPE, info);
}

}  // namespace vt
