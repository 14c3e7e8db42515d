#include "core/carrier.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>
#include <unistd.h>

#include <new>

#include "api.h"
#include "base/config.h"
#include "base/log.h"
#include "core/cancel.h"
#include "core/eject.h"
#include "core/libc_calls.h"
#include "core/main_thread.h"
#include "core/monitor.h"
#include "core/signals.h"
#include "core/os_thread.h"
#include "core/pin.h"
#include "core/scheduler.h"
#include "core/slot.h"
#include "core/starter.h"
#include "core/io_wait.h"
#include "sys/clock.h"
#include "sys/descriptors.h"
#include "sys/futex.h"
#include "sys/stoppable.h"

extern "C" int __libc_allocate_rtsig(int high);

namespace vt {
namespace {

std::atomic<Carrier*> carriers[kMaxCarriers];
std::atomic<unsigned> count{0}, objects{0};
SpinLock start_lock{Rank::kRuntime};
std::atomic<uint32_t> opened{0};  // futex for carrier_start: 0, then 1 or -errno

void* carrier_main(void* argument) noexcept {
  auto* c = static_cast<Carrier*>(argument);
  os_thread_prepare(c, "vtshim-carrier");
  int r = c->reactor.open(c->index == 0);
  kick_accept();
  if (r == 0) c->gone.store(0, std::memory_order_relaxed);
  opened.store(r < 0 ? (uint32_t)r : 1, std::memory_order_release);
  sys::futex_wake(&opened, 1);
  if (r == 0) c->run();
  return nullptr;
}

}  // namespace

unsigned carrier_count() noexcept { return count.load(std::memory_order_acquire); }
unsigned carrier_objects() noexcept { return objects.load(std::memory_order_acquire); }
Carrier* carrier_at(unsigned index) noexcept { return carriers[index].load(std::memory_order_acquire); }

unsigned carrier_target() noexcept {
  static std::atomic<unsigned> known{0};
  unsigned n = known.load(std::memory_order_relaxed);
  if (n) return n;
  n = config.carriers;
  if (!n && swaps) n = 1;
  if (!n) {
    unsigned long mask[1024 / 64] = {};
    long bytes = sys::raw(SYS_sched_getaffinity, 0, sizeof mask, mask);
    for (long i = 0; i < bytes / 8; ++i) n += (unsigned)__builtin_popcountl(mask[i]);
  }
  if (n < 1) n = 1;
  if (n > config.max_carriers) n = config.max_carriers;
  known.store(n, std::memory_order_relaxed);
  return n;
}

unsigned carrier_limit() noexcept { return swaps ? carrier_target() : config.max_carriers; }

namespace {
/// The object for index n; kept when an OS thread can't be had for it. Null: no memory.
Carrier* carrier_object(unsigned n) noexcept {
  Carrier* c = carriers[n].load(std::memory_order_relaxed);
  if (!c) {
    void* p = aligned_alloc(alignof(Carrier), sizeof(Carrier));
    if (!p) return nullptr;
    c = new (p) Carrier;
  }
  __atomic_store_n(&c->index, n, __ATOMIC_RELAXED);  // registry.cpp looks
  c->is_main = false;
  __atomic_store_n(&c->running, (VThread*)nullptr, __ATOMIC_RELAXED);
  c->idle.store(0, std::memory_order_relaxed);
  c->stuck.store(false, std::memory_order_relaxed);
  c->kicked.store(Kicked::kNo, std::memory_order_relaxed);
  c->reserved.store(0, std::memory_order_relaxed);
  c->fitness.store(Fitness::kFit, std::memory_order_relaxed);
  return c;
}
}  // namespace

int carrier_adopt(Carrier** adopted) noexcept {
  LockGuard guard(start_lock);
  if (count.load(std::memory_order_relaxed)) return -EBUSY;
  Carrier* c = carrier_object(0);
  if (!c || !slot_reserve(c, true)) return -ENOMEM;
  carriers[0].store(c, std::memory_order_release);
  int r = c->reactor.open(true);
  if (r < 0) return r;
  c->is_main = true;
  if (objects.load(std::memory_order_relaxed) == 0) objects.store(1, std::memory_order_release);
  os_thread_prepare(c, nullptr);
  kick_accept();
  *adopted = c;
  return 0;
}

void carrier_publish_adopted() noexcept { count.store(1, std::memory_order_release); }

int carrier_start() noexcept {
  LockGuard guard(start_lock);
  unsigned n = count.load(std::memory_order_relaxed);
  if (n >= carrier_limit()) return -EAGAIN;
  Carrier* c = carrier_object(n);
  if (!c || !slot_reserve(c, false)) return -ENOMEM;
  opened.store(0, std::memory_order_relaxed);
  int r = os_thread_start(c, carrier_main, c);
  if (r == 0) {
    uint32_t result;
    while ((result = opened.load(std::memory_order_acquire)) == 0) sys::futex_wait(&opened, 0);
    r = result == 1 ? 0 : (int)result;
  } else {
    r = -r;
  }
  carriers[n].store(c, std::memory_order_release);
  if (objects.load(std::memory_order_relaxed) <= n) objects.store(n + 1, std::memory_order_release);
  if (r == 0) count.store(n + 1, std::memory_order_release);
  return r;
}

namespace {
/// Asks it to go, if it idles, and waits for its answer; takes the question back if something keeps it from answering soon.
bool retire(Carrier* c) noexcept {
  if (!c->idle.load(std::memory_order_relaxed)) return false;
  constexpr uint64_t kPatience = 5'000'000;
  c->quit.store(1, std::memory_order_seq_cst);
  carrier_wake(c);
  timespec deadline = sys::to_timespec(sys::now() + kPatience);
  uint32_t asked;
  while ((asked = c->quit.load(std::memory_order_acquire))) {  // pairs with the answer in run()
    if (sys::futex_wait(&c->quit, asked, asked == 1 ? &deadline : nullptr) == -ETIMEDOUT && c->quit.compare_exchange_strong(asked, 0))
      return false;
  }
  return c->gone.load(std::memory_order_acquire);
}
}  // namespace

void carrier_renew(Carrier* c) noexcept {
  c->fitness.store(Fitness::kSpoilt, std::memory_order_relaxed);
  c->renew_asked.store(true, std::memory_order_release);  // [renew]
  starter_notice();
}

namespace {
void make_anew(Carrier* c) noexcept {
  auto run = [](void* argument) noexcept -> void* {
    auto* carrier = static_cast<Carrier*>(argument);
    os_thread_prepare(carrier, "vtshim-carrier");
    carrier->is_boxed = false;
    carrier->kicked.store(Kicked::kNo, std::memory_order_relaxed);
    if (carrier->reactor.open(carrier->index == 0) < 0) return carrier->fitness.store(Fitness::kEnded, std::memory_order_release), nullptr;
    kick_accept();
    carrier->fitness.store(Fitness::kFit, std::memory_order_relaxed);
    carrier->reserved.store(0, std::memory_order_seq_cst);
    carrier->gone.store(0, std::memory_order_seq_cst);
    carrier->run();
    return nullptr;
  };
  if (os_thread_start(c, run, c)) c->fitness.store(Fitness::kEnded, std::memory_order_relaxed);
}
}  // namespace

bool carriers_renew_asked() noexcept {
  bool some = false;
  for (unsigned i = 0, n = carrier_objects(); i < n; ++i) {
    Carrier* c = carrier_at(i);
    if (!c->renew_asked.exchange(false, std::memory_order_acquire)) continue;  // pairs with the monitor's release [renew]
    make_anew(c);
    some = true;
  }
  return some;
}

bool carrier_retire_last() noexcept {
  if (!start_lock.try_lock()) return false;  // one is being started, which may take its time
  unsigned n = count.load(std::memory_order_relaxed);
  bool left = n >= 2 && retire(carrier_at(n - 1));
  if (left) {
    carrier_at(n - 1)->view.close();
    count.store(n - 1, std::memory_order_release);
  }
  start_lock.unlock();
  return left;
}

bool carriers_retire_all() noexcept {
  LockGuard guard(start_lock);  // the starter is paused
  while (unsigned n = count.load(std::memory_order_relaxed)) {
    Carrier* c = carrier_at(n - 1);
    if (c->is_main) {
      if (!__atomic_load_n(&c->running, __ATOMIC_RELAXED) || c->reactor.in_flight() || c->queue.size()) return false;
      c->gone.store(1, std::memory_order_seq_cst);
      while (c->wakers.load(std::memory_order_seq_cst)) sys::raw(SYS_sched_yield);  // as in leave()
      c->reactor.close();
    } else if (!retire(c)) {
      return false;
    }
    c->view.close();
    count.store(n - 1, std::memory_order_release);
  }
  return true;
}

long OsThreadView::read(int& fd, pid_t tid, const char* name, char* text, size_t size) noexcept {
  if (fd < 0) {
    char path[64];
    print_into(path, sizeof path, "/proc/self/task/%d/%s", tid, name);
    long opened = sys::raw(SYS_open, path, O_RDONLY | O_CLOEXEC);
    fd = sys::move_up((int)opened, false);
    if (fd < 0 && opened >= 0) {  // a place that the program may want: not for long
      long n = sys::raw(SYS_pread64, opened, text, size, 0);
      sys::raw(SYS_close, opened);
      return n;
    }
    if (fd < 0) return fd;
  }
  return sys::raw(SYS_pread64, fd, text, size, 0);
}

void OsThreadView::close() noexcept {
  for (int* fd : {&stat, &call}) {
    if (*fd >= 0) sys::close_own(*fd);
    *fd = -1;
  }
}

/// False: there is something to do. True: the ring is closed, and nobody uses this object any more but through `gone`.
bool Carrier::leave() noexcept {
  // As with idle: we store gone, then look; who gives us something looks at gone after it, and tells the monitor.
  gone.store(1, std::memory_order_seq_cst);
  bool spoilt = fitness.load(std::memory_order_relaxed) != Fitness::kFit;  // what is common is others' to run
  if (queue.size() || __atomic_load_n(&mail, __ATOMIC_SEQ_CST) || __atomic_load_n(&requests, __ATOMIC_SEQ_CST) || reactor.in_flight() ||
      (timers.next() != sys::kForever && !is_boxed) ||  // the monitor's, then
      reserved.load(std::memory_order_relaxed) > spoilt || (common_queue.size() && !spoilt)) {
    gone.store(0, std::memory_order_relaxed);
    return false;
  }
  while (wakers.load(std::memory_order_seq_cst)) sys::raw(SYS_sched_yield);  // one is about to write to our eventfd
  reactor.close();
  os_thread_leave(this);
  return true;
}

void Carrier::run() noexcept {
  for (;;) {
    if (__atomic_load_n(&mail, __ATOMIC_RELAXED)) cancel_mailed(this);
    if (__atomic_load_n(&requests, __ATOMIC_RELAXED)) cancel_attend(this);
    if (is_main) {
      signals_attend(this);
      if (__builtin_expect(go_native.load(std::memory_order_relaxed), 0)) main_go_native(this);
    }
    if (VThread* v = pick(this)) {
      stuck.store(false, std::memory_order_relaxed);
      resume(this, v);
      continue;
    }
    uint32_t question = 1;
    if (quit.load(std::memory_order_acquire) && quit.compare_exchange_strong(question, 2)) {
      bool leaves = leave();
      quit.store(0, std::memory_order_release);  // the answer: from here on the object may be somebody else's
      sys::futex_wake(&quit, 1);
      if (leaves) return;
      continue;
    }
    if (__builtin_expect(fitness.load(std::memory_order_relaxed) == Fitness::kSpoilt, 0) && leave()) {
      fitness.store(Fitness::kEnded, std::memory_order_release);  // [renew]: the object is the monitor's
      return monitor_rescue();
    }
    if (__builtin_expect(is_boxed, 0)) {
      sys::raw(SYS_sched_yield);
      continue;  // it has been given something just now
    }
    // Idle protocol: we store idle, then load the queue's size; who enqueues stores the size, then loads idle. All four
    // are seq_cst, so at least one of us sees the other: either we look again, or it wakes us.
    idle.store(1, std::memory_order_seq_cst);
    if (queue.size() || asked.load(std::memory_order_seq_cst) || quit.load(std::memory_order_seq_cst) || go_native.load(std::memory_order_seq_cst) ||
        __atomic_load_n(&mail, __ATOMIC_SEQ_CST) || __atomic_load_n(&requests, __ATOMIC_SEQ_CST) ||
        (common_queue.size() && is_open(this))) {
      idle.store(0, std::memory_order_relaxed);
      monitor_notice();  // it may have seen us idle, and sleep
      continue;
    }
    if (steal_credit.watched()) idles_since.store(sys::now(), std::memory_order_relaxed);
    reactor.wait(timers.next(), this);
    if (uint64_t since = idles_since.load(std::memory_order_relaxed)) {
      idles_since.store(0, std::memory_order_relaxed);
      idled.store(idled.load(std::memory_order_relaxed) + sys::now() - since, std::memory_order_relaxed);
    }
    // If somebody else made it 0 its eventfd write is on the way; the wake-up read takes it, now or at the next wait.
    idle.store(0, std::memory_order_relaxed);
    monitor_notice();
  }
}

void carrier_wake(Carrier* c) noexcept {
  if (c->idle.load(std::memory_order_seq_cst)) {
    c->wakers.fetch_add(1, std::memory_order_seq_cst);  // its ring stays open till we have written
    if (c->idle.exchange(0, std::memory_order_seq_cst)) c->reactor.wake();
    c->wakers.fetch_sub(1, std::memory_order_release);
  } else if (__builtin_expect(c->gone.load(std::memory_order_seq_cst), 0)) monitor_rescue();
}

void carrier_want_help() noexcept {
  unsigned n = carrier_count(), open = 0, able = 0;
  Carrier* helper = nullptr;
  for (unsigned i = 0; i < n; ++i) {
    Carrier* c = carrier_at(i);
    if (!is_open(c)) continue;
    ++open;
    if (c->idle.load(std::memory_order_relaxed)) helper = helper && !helper->is_main ? helper : c;  // main's last
    else able += !c->stuck.load(std::memory_order_relaxed);
  }
  if (able >= carrier_target()) return;  // as many run as there are to be: a further one would take CPUs from them
  if (helper) {
    helper->asked.store(1, std::memory_order_seq_cst);  // before the wake: read by pick() after it
    return carrier_wake(helper);
  }
  if (open < carrier_target()) monitor_request_carrier();
}

// ---------------------------------------------------------------- the kick

bool at_call(const ucontext_t* uc) noexcept {
  auto& registers = uc->uc_mcontext.gregs;
  auto* next = (const unsigned char*)registers[REG_RIP];
  return next[0] == 0x0f && next[1] == 0x05 && registers[REG_RAX] >= 0 && registers[REG_RAX] <= 1000;
}

asm(R"(
    .text
    .hidden vt_call_ended
    .type vt_call_ended, @function
    ud2
vt_call_ended:
    .cfi_startproc
    .cfi_register %rip, %rcx
    jmp *%rcx
    .cfi_endproc
    .size vt_call_ended, .-vt_call_ended
)");
extern "C" const char vt_call_ended[];

void call_has_ended(ucontext_t* uc) noexcept {
  auto& registers = uc->uc_mcontext.gregs;
  auto* next = (const unsigned char*)registers[REG_RIP];
  if (registers[REG_RAX] != -EINTR || next[-2] != 0x0f || next[-1] != 0x05) return;
  // One that is pending would take this end for its own doing if it saw that instruction. rcx is the call's to change.
  registers[REG_RCX] = registers[REG_RIP];
  registers[REG_RIP] = (greg_t)vt_call_ended;
}

void end_call(ucontext_t* uc) noexcept {
  if (sys::stop_call(uc)) return;
  auto& registers = uc->uc_mcontext.gregs;
  if (at_call(uc)) {
    registers[REG_RAX] = -EINTR;
    registers[REG_RIP] += 2;
  }
  call_has_ended(uc);
}

namespace {
int kick_signal = 0;
bool is_monitors(Kick kind) noexcept { return kind == Kick::kReap || kind == Kick::kMoveIo; }

#if defined(__SANITIZE_THREAD__)
constexpr bool kSignalsComeLate = true;  // TSan keeps a signal for the fiber that it interrupted, which may be elsewhere by then
#else
constexpr bool kSignalsComeLate = false;
#endif

void on_kick(int, siginfo_t* info, void* context) noexcept {
  uint64_t word = (uint64_t)info->si_value.sival_ptr;
  auto* c = (Carrier*)(word & ~(uint64_t)kKickKinds);
  auto kind = (Kick)(word & kKickKinds);
  if (!c || info->si_code != SI_QUEUE) return;
  struct Arrived {
    Carrier* c;
    bool is_counted;
    ~Arrived() {
      if (is_counted) c->kicked.store(Kicked::kNo, std::memory_order_release);
    }
  } arrived{c, is_monitors(kind)};
  if (kSignalsComeLate && sys::raw(SYS_gettid) != c->os_tid) return;
  VThread* v = c->running;
  auto* uc = static_cast<ucontext_t*>(context);
  // Inside the runtime: it comes past its ring by itself. Else the ring is ours: this is its OS thread. Or a handler of main's that has begun where
  // that was so.
  bool inside = is_inside_here(c, v);
  // One that seemed to compute may have begun to wait just now.
  bool again = !inside && (is_monitors(kind) ? eject_restart_call(c, context) : call_set_back(context));
  if (inside || (v && (v->in_vfork || v->boxed))) return;
  ++c->kicks;
  if (kind == Kick::kEndCall) {
    if (!v || v->in_fork || c->in_handler) return;
    bool handled = v->is_main && ends_call(static_cast<MainThread*>(v)->handlers_ran, again ? Interrupt::kAlways : Interrupt::kUnlessRestart);
    if (handled || (!v->cancel_shielded && cancel_wanted(v))) end_call(uc);
    return;
  }
  struct InKick {
    Carrier* c;
    explicit InKick(Carrier* carrier) noexcept : c(carrier) { c->in_kick.fetch_add(1, std::memory_order_relaxed); }
    ~InKick() { c->in_kick.fetch_sub(1, std::memory_order_release); }
  } in_kick(c);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (c->is_main && !main_parks.load(std::memory_order_relaxed)) return;  // the runtime is about to stop: as self_parks()
  if (kind == Kick::kMoveIo) io_waits_move(c);
  c->reactor.poll(c);
  if (__atomic_load_n(&c->mail, __ATOMIC_RELAXED)) cancel_mailed(c);
  if (__atomic_load_n(&c->requests, __ATOMIC_RELAXED)) cancel_attend(c);
  if (c->timers.next() != sys::kForever) c->timers.expire(sys::now(), c);
  if (c->reactor.has_unsubmitted()) c->reactor.poll(c);
  // Above the request to end its wait was taken, and it may stand in a call that has none, or between the look at its flag and that call.
  if (v && !v->in_fork && !c->in_handler && !v->cancel_shielded && cancel_wanted(v)) sys::stop_call(uc);
}
}  // namespace

void kick_install() noexcept {
  if (!kick_signal) kick_signal = __libc_allocate_rtsig(0);  // the highest; SIGRTMAX then is one less
  if (kick_signal < 0) return;
  struct sigaction action {};
  action.sa_sigaction = on_kick;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigfillset(&action.sa_mask);
  libc_calls.sigaction(kick_signal, &action, nullptr);
}

int kick_signal_number() noexcept { return kick_signal; }

uint64_t runtime_signals() noexcept {
  uint64_t bits = 0;
  if (kick_signal > 0) bits |= 1ull << (kick_signal - 1);
  if (eject_signal() > 0) bits |= 1ull << (eject_signal() - 1);
  return bits;
}
bool is_runtime_signal(int signal) noexcept { return signal >= 1 && signal <= 64 && (runtime_signals() >> (signal - 1) & 1); }

void kick_accept() noexcept {
  uint64_t bits = runtime_signals();
  sys::raw(SYS_rt_sigprocmask, SIG_UNBLOCK, &bits, nullptr, sizeof bits);
}

void carrier_kick(Carrier* c, Kick kind, bool noted) noexcept {
  bool counts = is_monitors(kind);
  if (kick_signal <= 0 || (counts && c->kicked.load(std::memory_order_relaxed) != Kicked::kNo)) return;
  if (counts) c->kicked.store(noted ? Kicked::kNoted : Kicked::kYes, std::memory_order_relaxed);
  if (!carrier_signal(c, kick_signal, (uint64_t)c + (uint64_t)kind) && counts) c->kicked.store(Kicked::kNo, std::memory_order_relaxed);
}

bool carrier_signal(Carrier* c, int number, uint64_t word) noexcept {
  siginfo_t info{};
  info.si_signo = number;
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  info.si_value.sival_ptr = (void*)word;
  // To itself is no matter: that comes before its next instruction, or when the handler in which it stands has returned.
  bool other = sys::raw(SYS_gettid) != c->os_tid;
  if (other) c->senders.fetch_add(1, std::memory_order_seq_cst);  // [exec]
  bool sent = !(other && c->in_exec.load(std::memory_order_seq_cst)) &&
              sys::raw(SYS_rt_tgsigqueueinfo, getpid(), c->os_tid, number, &info) == 0;
  if (other) c->senders.fetch_sub(1, std::memory_order_release);
  return sent;
}

void carriers_after_fork() noexcept {
  unsigned n = objects.load(std::memory_order_relaxed);
  for (unsigned i = 0; i < n; ++i) {
    Carrier* c = carriers[i].load(std::memory_order_relaxed);
    c->reactor.abandon();
    c->view.close();
    new (c) Carrier;
  }
  readiness_after_fork();
  count.store(0, std::memory_order_relaxed);
  objects.store(0, std::memory_order_relaxed);
  start_lock.reset();
}

}  // namespace vt
