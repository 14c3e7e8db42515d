#include "core/eject.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "api.h"
#include "base/config.h"
#include "base/log.h"
#include "core/blocking.h"
#include "core/cancel.h"
#include "core/carrier.h"
#include "core/libc_calls.h"
#include "core/scheduler.h"
#include "core/signals.h"
#include "core/slot.h"
#include "core/thread_signals.h"
#include "sys/raw.h"
#include "sys/signal_bits.h"
#include "sys/stoppable.h"

extern "C" int __libc_allocate_rtsig(int high);

namespace vt {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool kCanEject = false;  // they don't follow a switch inside a handler
#else
constexpr bool kCanEject = true;
#endif
int signal_number = 0;
constexpr size_t kStackNeeded = 64 << 10;  // the handler runs on the thread's own stack, since its frame must outlive the handler's OS thread

/// Calls that end with EINTR whenever a handler ran, though nothing has happened: with the same arguments they may start again.
/// A relative time-out then starts anew; what is ejected has been in its call for two ticks of the monitor's at the most.
bool starts_again(long number) noexcept {
  switch (number) {
    case SYS_poll: case SYS_ppoll: case SYS_select: case SYS_pselect6: case SYS_epoll_wait: case SYS_epoll_pwait: case 441 /* epoll_pwait2 */:
    case SYS_nanosleep: case SYS_clock_nanosleep: case SYS_futex: case 449 /* futex_waitv */: case SYS_semop: case SYS_semtimedop:
    case SYS_msgrcv: case SYS_msgsnd: case SYS_mq_timedreceive: case SYS_mq_timedsend: case SYS_pause: case SYS_rt_sigsuspend:
    case SYS_rt_sigtimedwait: case SYS_io_getevents: case SYS_recvmmsg: case SYS_recvfrom: case SYS_recvmsg: case SYS_sendto:
    case SYS_sendmsg: case SYS_accept: case SYS_accept4: case SYS_connect:
    case 426 /* io_uring_enter, of a ring of the program's: EINTR tells that nothing was submitted */: return true;
    default: return false;
  }
}

/// Calls that the kernel restarts after a handler with SA_RESTART, but for those above.
bool is_restartable(long number) noexcept {
  switch (number) {
    case SYS_read: case SYS_readv: case SYS_pread64: case SYS_preadv: case SYS_preadv2: case SYS_write: case SYS_writev: case SYS_pwrite64:
    case SYS_pwritev: case SYS_pwritev2: case SYS_open: case SYS_openat: case SYS_ioctl: case SYS_flock: case SYS_fcntl: case SYS_wait4:
    case SYS_waitid: case SYS_sendfile: case SYS_splice: case SYS_tee: case SYS_getrandom: return true;
    default: return false;
  }
}

/// A call that means its OS thread.
bool is_bound_call(long number) noexcept {
  return number == SYS_ptrace || number == SYS_vfork || number == SYS_clone || number == 435 /* clone3 */ ||
         number == SYS_execve || number == SYS_execveat;
}

/// /proc hides the call (the process has changed its user, say, so its own files there are root's), or isn't there.
constexpr long kHidden = -2;
constexpr uint64_t kForSignals = 1, kForMain = 2;  // in the carrier's address

/// A handler of the program's has begun, but hasn't counted itself yet: two signals at once, and the kernel lays our frame on top of its.
bool on_signal_stack(const ucontext_t* uc) noexcept {
  uint64_t sp = (uint64_t)uc->uc_mcontext.gregs[REG_RSP];
  return sp - (uint64_t)uc->uc_stack.ss_sp < uc->uc_stack.ss_size;
}

/// Libc's own handler for setuid(2) or cancellation has been interrupted: who left now would leave its mask to the OS thread.
bool over_libc_handler(const ucontext_t* uc) noexcept {
  uint64_t mask;
  memcpy(&mask, &uc->uc_sigmask, sizeof mask);
  return mask & sys::kLibcSignals;
}

/// Elsewhere, most likely. What the return from the handler restores must be this OS thread's. Until then our own signals wait.
void return_here(ucontext_t* uc) noexcept {
  uint64_t ours = runtime_signals();
  sys::raw(SYS_rt_sigprocmask, SIG_BLOCK, &ours, &uc->uc_sigmask, sizeof ours);
  sys::raw(SYS_sigaltstack, nullptr, &uc->uc_stack);
}

/// A second signal of ours waits until here: its handler might leave the OS thread, and we would go on with another's carrier, or return with another's mask and
/// signal stack. From here on it may, and so may we: the OS thread that is left in the handler has the mask that it should have.
void accept_again() noexcept {
  uint64_t one = sys::bit(signal_number);
  sys::raw(SYS_rt_sigprocmask, SIG_UNBLOCK, &one, nullptr, sizeof one);
}

bool send_signal(Carrier* c, uint64_t kind) noexcept { return carrier_signal(c, signal_number, (uint64_t)c + kind); }
/// The same when the handler in which the caller stands, on c's OS thread, has returned.
void send_later(Carrier* c, uint64_t kind) noexcept {
  uint64_t one = sys::bit(signal_number);
  sys::raw(SYS_rt_sigprocmask, SIG_BLOCK, &one, nullptr, sizeof one);
  send_signal(c, kind);
}
/// Over libc's own handler: again when that one has returned.
bool is_put_off(Carrier* c, ucontext_t* uc, uint64_t kind) noexcept {
  if (!over_libc_handler(uc)) return false;
  *(uint64_t*)&uc->uc_sigmask |= sys::bit(signal_number);
  send_later(c, kind);
  return true;
}

/// Outside of the runtime, whose own calls may be meant to end: call_set_back().
bool restart_call(const Carrier* c, const VThread* v, ucontext_t* uc) noexcept {
  return !is_inside_here(c, v) && call_set_back(uc);
}
/// What handlers end a call that was interrupted: one that the kernel wouldn't have restarted, any.
Interrupt ended_by(bool was_set_back) noexcept { return was_set_back ? Interrupt::kAlways : Interrupt::kUnlessRestart; }

/// v leaves in the middle of its code, and is back. True: handlers that have run meanwhile end the call in which it was interrupted. In a section
template <class Leave>
bool away_and_back(VThread* v, bool was_set_back, Leave&& leave) noexcept {
  MainThread* m = v->is_main ? static_cast<MainThread*>(v) : nullptr;
  uint8_t ran_before = 0;
  if (m) {
    ran_before = m->handlers_ran;
    m->handlers_ran = 0;
  }
  leave();
  bool ends = !v->in_fork && (m || signals_wanted(v)) && signals_end_wait(v, ended_by(was_set_back));
  if (m) m->handlers_ran = (uint8_t)(m->handlers_ran | ran_before);
  return ends;
}

/// The program's handlers run here, on what they interrupted. The system call that was interrupted is restarted by the kernel, or ended, as
/// this handler's SA_RESTART says: ended for a handler of the program's without.
void run_signals(Carrier* c, ucontext_t* uc) noexcept {
  if (sys::raw(SYS_gettid) != c->os_tid) return;
  VThread* v = c->running;
  if (!v || v->in_vfork) return;
  bool again = restart_call(c, v, uc);  // the signal may have been taken by itself, between two calls
  if ((v->is_main && !c->is_blocking) || c->in_handler || on_signal_stack(uc)) return;  // it looks later: on_signal(), signals.cpp
  if (v->depth) return v->defer_once(Self::kSignals);
  if (is_put_off(c, uc, kForSignals)) return;
  if (!signals_wanted(v)) return;
  accept_again();
  signal_take_pipe();  // a handler may wait, and go on elsewhere
  uint8_t ran = signals_deliver(v, uc);
  if (ends_call(ran, ended_by(again))) end_call(uc);
  else if (ran) call_has_ended(uc);
  return_here(uc);
}

/// With all of malloc's locks: no other's turn comes first.
bool computes_in_fork(const Carrier* c, const VThread* v) noexcept { return v->in_fork && c->eject_call.number == -1; }

/// To the end of its own carrier's queue main may go, too.
bool must_stay(const VThread* v, bool goes_elsewhere = true) noexcept { return swaps || !goes_elsewhere ? v->pins : v->stays(); }

/// Carrier 0 is needed for a handler of main's: who runs there goes to the end of its queue.
void make_room(Carrier* c, ucontext_t* uc) noexcept {
  if (sys::raw(SYS_gettid) != c->os_tid) return;
  VThread* v = c->running;
  if (!v || v->in_vfork) return;
  bool again = restart_call(c, v, uc), ends;
  if (!main_wants_room(c) || v->is_main || c->in_handler || on_signal_stack(uc) || must_stay(v)) return;
  if (v->depth) return v->defer_once(Self::kAttention);
  if (is_put_off(c, uc, kForMain)) return;
  {
    RuntimeSection section;
    accept_again();
    signal_take_pipe();
    main_interrupt(c);  // it comes before v, then
    ends = away_and_back(v, again, [&] { move_to(v, c); });
  }
  return_here(uc);
  if (ends) end_call(uc);
}

// On a slot the program's code goes on only there, so its system call alone is made elsewhere, by the handler, and the handler returns
// behind it.

/// It stands before its system call, by which nothing that is somebody else's meanwhile is to be read or written.
bool may_be_called_for(const ucontext_t* uc) noexcept {
  if (!at_call(uc)) return false;
  for (int r : {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9})
    if (in_slot((const void*)uc->uc_mcontext.gregs[r])) return false;
  return true;
}

/// On a slot v may go only where it surely holds no lock of malloc's or ld.so's: not in their code, but where it waits in the call that was noted.
bool may_pause(const Carrier* c, const ucontext_t* uc) noexcept {
  auto& registers = uc->uc_mcontext.gregs;
  auto pc = (uint64_t)registers[REG_RIP];
  auto& call = c->eject_call;
  if (!swaps) return true;
  CodeOf of = code_of(pc);
  if (of == CodeOf::kOthers || (of == CodeOf::kLibc && c->eject_firmly)) return true;
  return call.number == kHidden || (call.number >= 0 && (uint64_t)registers[REG_RSP] == call.sp && (pc == call.pc || pc + 2 == call.pc));
}

/// On the blocking thread, and back.
void call_for(ucontext_t* uc) noexcept {
  auto& registers = uc->uc_mcontext.gregs;
  VThread* v = current();
  uint32_t handlers = v->handlers_run;
  long r;
  do {  // for our signals, too, the kernel ends it
    r = sys::raw(registers[REG_RAX], registers[REG_RDI], registers[REG_RSI], registers[REG_RDX], registers[REG_R10], registers[REG_R8],
                 registers[REG_R9]);
  } while (r == -EINTR && !v->is_main && v->handlers_run == handlers && !cancel_wanted(v) && starts_again(registers[REG_RAX]));
  registers[REG_RAX] = r;
  registers[REG_RIP] += 2;
  if (registers[REG_RAX] == -EPIPE) signal_take_pipe();  // while its OS thread is there
  RuntimeSection section;
  if (current()->carrier->is_blocking) from_blocking_thread();
}

void on_eject(int, siginfo_t* info, void* context) noexcept {
  if (info->si_code != SI_QUEUE) return;
  auto word = (uint64_t)info->si_value.sival_ptr;
  auto* uc = static_cast<ucontext_t*>(context);
  auto* c = (Carrier*)(word & ~(kForSignals | kForMain));
  if (!c) return;
  if (word & kForMain) return make_room(c, uc);
  if (word & kForSignals) return run_signals(c, uc);
  VThread* wanted = c->eject.load(std::memory_order_acquire);  // pairs with the monitor's release [eject]
  if (!wanted) return;
  VThread* v = c->running;
  Carrier* to = c->eject_to;
  bool put_off = false;
  if (v != wanted || is_inside(v) || computes_in_fork(c, v) || v->in_vfork || v->in_place || must_stay(v, to != c) || c->in_handler || on_signal_stack(uc) || over_libc_handler(uc) ||
      (put_off = !may_pause(c, uc))) {
    eject_restart_call(c, uc);
    c->eject_put_off.store(put_off, std::memory_order_relaxed);
    if (!to) blocking_unclaim();
    c->eject.store(nullptr, std::memory_order_release);
    return;
  }
  bool calls = swaps && !to, leaves, ends = false;
  {
    RuntimeSection section;
    accept_again();
    bool again = eject_restart_call(c, uc);
    c->eject.store(nullptr, std::memory_order_release);
    // In the section: the monitor takes main's permission back, then looks whether main is in one [stop].
    leaves = has_carrier(v) && (!calls || may_be_called_for(uc));
    signal_take_pipe();  // it may stand between a write and the look at what that left here
    if (!leaves) {
      if (!to) blocking_unclaim();
    } else if (calls) {
      eject(v, to);
    } else {
      ends = away_and_back(v, again, [&] { eject(v, to); });
    }
  }
  if (calls && leaves) call_for(uc);
  return_here(uc);
  if (ends) return end_call(uc);
  // Nobody could end the call while it was on a carrier; who cancels from now on sends a kick, which finds it in its call.
  if (leaves && !v->cancel_shielded && cancel_wanted(v)) sys::stop_call(uc);
}

bool send(Carrier* c, VThread* v) noexcept {
  c->eject.store(v, std::memory_order_release);  // [eject]
  if (send_signal(c, 0)) return true;
  c->eject.store(nullptr, std::memory_order_relaxed);
  return false;
}

bool may_be_ejected(Carrier* c, VThread* v, bool goes_elsewhere = true) noexcept {
  if (config.pin == PinPolicy::kCallback) return false;  // whoever stands in a callback can't be asked from a handler
  return signal_number > 0 && v && !must_stay(v, goes_elsewhere) && !v->in_vfork && (v->is_main || v->used_stack_size >= kStackNeeded) &&
         !eject_is_coming(c);
}

/// Reads /proc/self/task/TID/syscall: "number a b c d e f sp pc". False if the thread is in none.
bool system_call(Carrier* c, long* number, uint64_t* sp, uint64_t* pc) noexcept {
  char text[256];
  long n = c->view.read(c->view.call, c->os_tid, "syscall", text, sizeof text - 1);
  if (n <= 0 || text[0] < '0' || text[0] > '9') return false;  // "running", "-1 …"
  text[n] = 0;
  uint64_t words[9] = {};
  int count = 0;
  for (const char* p = text; *p && count < 9; ++count) {
    uint64_t w = 0, base = 10;
    if (p[0] == '0' && p[1] == 'x') base = 16, p += 2;
    for (;; ++p) {
      unsigned digit = *p >= '0' && *p <= '9' ? (unsigned)(*p - '0') : *p >= 'a' && *p <= 'f' ? (unsigned)(*p - 'a' + 10) : 16;
      if (digit >= base) break;
      w = w * base + digit;
    }
    words[count] = w;
    while (*p == ' ' || *p == '\n') ++p;
  }
  if (count != 9) return false;
  *number = (long)words[0];
  *sp = words[7];
  *pc = words[8];
  return true;
}

/// What the instruction that begins at `at` puts into eax, if it is a mov of a constant or of a register that a call keeps; else -1.
long moved_to_eax(const uint8_t* at, const greg_t* registers) noexcept {
  constexpr int kNames[] = {-1, -1, -1, REG_RBX, -1, REG_RBP, -1, -1, -1, -1, -1, -1, REG_R12, REG_R13, REG_R14, REG_R15};
  uint8_t rex = (at[0] & 0xf2) == 0x40 ? *at++ : 0;  // without .X
  int32_t constant;
  memcpy(&constant, at + (at[0] == 0xc7 ? 2 : 1), sizeof constant);
  if ((rex & 1) == 0 && (at[0] == 0xb8 || (at[0] == 0xc7 && at[1] == 0xc0))) return constant;
  if ((rex & 1) || at[0] != 0x89 || (at[1] & 0xc7) != 0xc0) return -1;
  int name = kNames[(at[1] >> 3 & 7) + (rex & 4 ? 8 : 0)];
  return name < 0 ? -1 : (long)registers[name];
}

/// The number of a call that was interrupted, by the code before it: what was last moved to eax, where that makes sense. A guess that is made
/// only where nothing was noted: /proc doesn't tell, or the call had just begun; without it the program sees an EINTR.
long number_before(const greg_t* registers, bool restartable = false) noexcept {
  constexpr uintptr_t kFar = 48, kShortest = 2, kPage = 4096;
  auto* syscall = (const uint8_t*)registers[REG_RIP] - 2;
  if (syscall[0] != 0x0f || syscall[1] != 0x05) return -1;
  for (uintptr_t back = kShortest; back < kFar && ((uintptr_t)syscall & (kPage - 1)) >= back; ++back)
    if (long number = moved_to_eax(syscall - back, registers); starts_again(number) || (restartable && is_restartable(number))) return number;
  return -1;
}

}  // namespace

int eject_signal() noexcept { return signal_number; }

void eject_install() noexcept {
  if (!kCanEject) return;
  if (!signal_number) signal_number = __libc_allocate_rtsig(0);
  if (signal_number <= 0) return;
  struct sigaction action {};
  action.sa_sigaction = on_eject;
  // Not on the signal stack: see kStackNeeded.
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  libc_calls.sigaction(signal_number, &action, nullptr);
}

void eject_for_signals(Carrier* c) noexcept {
  if (signal_number > 0) send_signal(c, kForSignals);
}
void eject_for_signals_later(Carrier* c) noexcept {
  if (signal_number > 0) send_later(c, kForSignals);
}

bool eject_for_main(Carrier* c, VThread* v, const ucontext_t* over) noexcept {
  if (swaps && over && code_of((uint64_t)over->uc_mcontext.gregs[REG_RIP]) != CodeOf::kOthers) return false;  // it may hold a lock of libc's
  if (signal_number <= 0 || config.pin == PinPolicy::kCallback || must_stay(v) || v->in_vfork || v->used_stack_size < kStackNeeded) return false;
  if (over) send_later(c, kForMain);
  else send_signal(c, kForMain);
  return true;
}

bool eject_is_coming(const Carrier* c) noexcept {
  // pairs with the handlers' releases: they have read the note
  return c->eject.load(std::memory_order_acquire) || c->kicked.load(std::memory_order_acquire) == Kicked::kNoted;
}

bool eject_note_call(Carrier* c) noexcept {
  if (eject_is_coming(c)) return false;
  long number = -1;
  uint64_t sp = 0, pc = 0;
  bool known = system_call(c, &number, &sp, &pc);
  if (!known && (c->view.call == -EACCES || c->view.call == -ENOENT)) number = kHidden, known = true;
  c->eject_call = {number, sp, pc};
  return known;
}

namespace {
/// The kernel has prepared the restart of most calls; of those that always end with EINTR we do the same.
bool set_back(greg_t* registers, long number) noexcept {
  if (number < 0) return false;
  registers[REG_RAX] = number;
  registers[REG_RIP] -= 2;
  return true;
}
}  // namespace

bool eject_restart_call(Carrier* c, void* context) noexcept {
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  if (registers[REG_RAX] != -EINTR) return false;
  auto call = c->eject_call;
  bool noted = call.number != kHidden && (uint64_t)registers[REG_RSP] == call.sp && (uint64_t)registers[REG_RIP] == call.pc;
  long number = noted ? call.number : number_before(registers);
  return starts_again(number) && set_back(registers, number);
}

bool call_set_back(void* context, bool not_restarted) noexcept {
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  return registers[REG_RAX] == -EINTR && set_back(registers, number_before(registers, not_restarted));
}

Claim eject_blocked(Carrier* c, VThread* v) noexcept {
  if (!may_be_ejected(c, v)) return Claim::kNo;
  if (!eject_note_call(c) || is_bound_call(c->eject_call.number)) return Claim::kNo;
  if (Claim claim = blocking_claim(&c->asked_for); claim != Claim::kYes) return claim == Claim::kFull ? Claim::kNo : claim;
  c->eject_to = nullptr;
  c->eject_firmly = false;
  if (send(c, v)) return Claim::kYes;
  blocking_unclaim();
  return Claim::kNo;
}

bool eject_waiting(Carrier* c, VThread* v, Carrier* to) noexcept {
  if (!may_be_ejected(c, v, to != c) || !eject_note_call(c) || is_bound_call(c->eject_call.number)) return false;
  c->eject_to = to;
  c->eject_firmly = false;
  return send(c, v);
}

bool eject_computing(Carrier* c, VThread* v, Carrier* to, bool firmly) noexcept {
  if (!may_be_ejected(c, v, to != c)) return false;
  c->eject_call = {};
  c->eject_call.number = -1;
  c->eject_to = to;
  c->eject_firmly = firmly;
  return send(c, v);
}

}  // namespace vt
