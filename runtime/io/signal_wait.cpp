// Waiting for signals: sigsuspend, pause, sigwait and their kin; waits under a mask of their own. Layer: io.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "api.h"
#include "core/carrier.h"
#include "core/main_thread.h"
#include "core/signals.h"
#include "core/thread_signals.h"
#include "core/wait_table.h"
#include "sys/clock.h"
#include "sys/signal_bits.h"

namespace vt {
namespace {

using sys::raw;

uint64_t bits_of(const sigset_t* set) noexcept {
  uint64_t bits;
  memcpy(&bits, set, sizeof bits);
  return bits;
}

int wait_for_monitor(uint64_t bits, uint64_t deadline) noexcept {
  signals_note_unblocked(~bits);
  timespec end = sys::to_timespec(deadline);
  return wait_alone(ParkReason::kSignal, CLOCK_MONOTONIC, deadline == sys::kForever ? nullptr : &end) == WaitResult::kInterrupted ? -EINTR : 0;
}

}  // namespace

int signal_action(int signal, const struct sigaction* action, struct sigaction* old) noexcept {
  return signals_action(signal, action, old);
}

void signal_setjmp(void* env) noexcept { signals_setjmp(env); }
void signal_longjmp(void* env, int value) noexcept { signals_longjmp(env, value); }

void signal_mask_follows(const sigset_t* mask) noexcept {
  VThread* v = current();
  if (is_main(v) && !v->carrier->is_blocking) signals_note_main_mask(bits_of(mask) & ~runtime_signals());
}

bool masked_call_begins(const sigset_t* mask, sigset_t* saved) noexcept {
  VThread* v = current();
  if (!mask || !v) return false;
  if (!v->is_main) {
    uint64_t old = v->signal_mask.load(std::memory_order_relaxed);
    v->handlers_before = v->handlers_run;
    v->in_masked_call = true;
    signals_set_mask(v, bits_of(mask));
    memcpy(saved, &old, sizeof old);
    return true;
  }
  auto* m = static_cast<MainThread*>(v);
  main_call_begins(m);
  m->call.keeps_handlers = true;
  m->call.masked_call = (char*)saved;
  uint64_t bits = bits_of(mask) & ~runtime_signals(), old = 0;
  signals_main_unblocks(bits);
  raw(SYS_rt_sigprocmask, SIG_SETMASK, &bits, &old, sizeof bits);
  memcpy(saved, &old, sizeof old);
  signals_note_main_mask(bits);
  return true;
}

void masked_call_ends(const sigset_t* saved) noexcept {
  VThread* v = current();
  if (!v->is_main) {
    uint64_t old;
    memcpy(&old, saved, sizeof old);
    v->in_masked_call = false;
    signals_set_mask(v, old);
    if (signals_wanted(v)) signals_deliver(v, nullptr);
    return;
  }
  static_cast<MainThread*>(v)->call.keeps_handlers = false;
  signals_main_unblocks(bits_of(saved));
  raw(SYS_rt_sigprocmask, SIG_SETMASK, saved, nullptr, sizeof(uint64_t));
  signals_note_main_mask(bits_of(saved));
  if (signals_wanted(v)) signals_deliver(v, nullptr);
}

int signal_suspend(const sigset_t* mask) noexcept {
  main_call_begins(current());
  sigset_t saved;
  bool masked = masked_call_begins(mask, &saved);
  int r = -EINTR;
  for (bool again = true; again;) {
    if (!self_parks(current())) {  // main, and the last: the kernel ends its own wait after any handler
      r = kGoNative;
      break;
    }
    again = wait_alone(ParkReason::kSignal, CLOCK_MONOTONIC, nullptr) == WaitResult::kAgain;
  }
  if (masked) masked_call_ends(&saved);
  return r;
}

int signal_wait(const sigset_t* set, siginfo_t* info, const timespec* timeout) noexcept {
  if (timeout && (!sys::valid(*timeout) || timeout->tv_sec < 0)) return -EINVAL;
  main_call_begins(current());
  VThread* v = current();
  uint64_t bits = bits_of(set) & ~runtime_signals();
  if (v->is_main) signals_main_awaits(bits);
  else v->signals_awaited.store(bits, std::memory_order_seq_cst);
  if (bits & sys::bit(SIGPIPE)) signal_take_pipe();  // before a section's end leads to another OS thread
  uint64_t deadline = timeout ? sys::add(sys::now(), sys::to_ns(*timeout)) : sys::kForever;
  siginfo_t found{};
  long fd = -1, r;
  for (int waited = 1;;) {
    {
      RuntimeSection section;
      r = signals_take(v, bits, &found);
    }
    if (r) break;
    r = signals_take_of_process(v, bits, &found);
    if (r != -EAGAIN && r != -EINTR) break;
    r = waited < 0 ? waited : -EAGAIN;
    if (waited < 0 || sys::now() >= deadline) break;
    if (signals_mains_in_the_way(v, bits)) {
      waited = wait_for_monitor(bits, deadline);
      continue;
    }
    if (fd < 0) {
      constexpr int kCloseOnExec = 02000000;
      fd = raw(SYS_signalfd4, -1, &bits, sizeof bits, kCloseOnExec);
      if (fd < 0) {  // no descriptor to be had: the carrier waits, and the monitor compensates
        timespec rest = sys::to_timespec(deadline == sys::kForever ? 0 : deadline - sys::now());
        r = raw(SYS_rt_sigtimedwait, &bits, &found, timeout ? &rest : nullptr, sizeof bits);
        break;
      }
    }
    waited = io_wait_readable((int)fd, deadline);
    if (waited == -EAGAIN) waited = 0;
  }
  if (fd >= 0) raw(SYS_close, fd);
  if (v->is_main) signals_main_awaits(0);
  else v->signals_awaited.store(0, std::memory_order_relaxed);
  if (found.si_code == SI_TKILL) found.si_code = SI_USER;  // as glibc
  if (r > 0 && info) *info = found;
  return (int)r;
}

}  // namespace vt
