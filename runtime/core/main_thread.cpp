#include "core/main_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <new>

#include "api.h"
#include "base/log.h"
#include "core/cancel.h"
#include "core/blocking.h"
#include "core/carrier.h"
#include "core/io_wait.h"
#include "core/libc_calls.h"
#include "core/look_ups.h"
#include "core/main_signals.h"
#include "core/monitor.h"
#include "core/os_thread.h"
#include "core/pin.h"
#include "core/runtime.h"
#include "core/scheduler.h"
#include "core/slot.h"
#include "core/signals.h"
#include "core/thread_area.h"
#include "core/thread_signals.h"
#include "core/tsd.h"
#include "core/unit_pool.h"
#include "core/wait_table.h"
#include "sys/fs_base.h"

extern "C" {
void __pthread_register_cancel(__pthread_unwind_buf_t*);
void __pthread_unregister_cancel(__pthread_unwind_buf_t*);
}

namespace vt {
namespace {

alignas(64) constinit MainThread object;  // a preloaded library's constructor may make a thread before ours have run
std::atomic<MainThread*> joined{nullptr};
std::atomic<bool> waits_for_last{false};
Carrier* no_carrier = nullptr;  // main's, once the runtime has stopped: it has left, and what goes to it goes to one that is there
constexpr size_t kLoopStack = 256 << 10;
char* loop_stack = nullptr;

void loop_entry(sys::Transfer transfer) {
  asm volatile(".cfi_undefined rip");  // unwinders end here
  sys::fiber_entered();
  auto* c = static_cast<Carrier*>(transfer.data);
  arrive(transfer);
  c->run();
}

}  // namespace

VThread* thread_of(pthread_t thread) noexcept {
  MainThread* m = main_thread();
  return m && m->handle() == thread ? m : vthread_of((char*)thread);
}

std::atomic<bool> main_parks{false};

MainThread* main_thread() noexcept { return joined.load(std::memory_order_acquire); }  // for the registry

int main_join() noexcept {
  if (!loop_stack) {
    long p = sys::raw(SYS_mmap, nullptr, kLoopStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (p < 0 && p > -4096) return (int)p;
    loop_stack = (char*)p;
  }
  if (!no_carrier) {
    void* p = aligned_alloc(alignof(Carrier), sizeof(Carrier));
    if (!p) return -ENOMEM;
    no_carrier = new (p) Carrier;
  }
  stack_t alternate{};
  sys::raw(SYS_sigaltstack, nullptr, &alternate);
  Carrier* c = nullptr;
  if (int r = carrier_adopt(&c); r < 0) return r;
  main_prepare_exit();
  c->loop_context = sys::make_fcontext(loop_stack + kLoopStack, kLoopStack, loop_entry);
  auto* m = new (&object) MainThread;
  main_signals_begin();
  m->is_virtual = m->is_main = true;
  m->tp = thread_area_self(c->own_tp);
  m->area = c->own_area;
  m->tls_at = c->own_tp;
  m->alternate_stack = alternate;  // from here on a number to tell: handlers run on the OS thread's own
  m->carrier = m->home = c;
  m->state.store(State::kRunning, std::memory_order_relaxed);
#if defined(__SANITIZE_THREAD__)
  m->fiber.tsan = __tsan_get_current_fiber();
  c->loop_fiber.tsan = __tsan_create_fiber(0);
#elif defined(__SANITIZE_ADDRESS__)
  m->fiber.low = c->loop_fiber.low;  // os_thread_prepare has asked for the main stack
  m->fiber.size = c->loop_fiber.size;
  c->loop_fiber = {};
  c->loop_fiber.low = loop_stack;
  c->loop_fiber.size = kLoopStack;
#endif
  pins_of_main(m);
  __atomic_store_n(&c->running, (VThread*)m, __ATOMIC_RELAXED);
  c->gone.store(0, std::memory_order_relaxed);
  carrier_publish_adopted();
  m->id.store(c->os_tid, std::memory_order_relaxed);
  m->since.store(monitor_time(), std::memory_order_relaxed);
  joined.store(m, std::memory_order_release);
  uint64_t mask = 0;
  sys::raw(SYS_rt_sigprocmask, SIG_SETMASK, nullptr, &mask, sizeof mask);
  signals_note_main_mask(mask);
  main_parks.store(true, std::memory_order_release);
  return 0;
}

// ---------------------------------------------------------------- signals end its calls

void main_call_begins(VThread* v) noexcept {
  if (!is_main(v)) return;
  auto* m = static_cast<MainThread*>(v);
  if (!m->call.keeps_handlers) m->handlers_ran = 0;
}

bool main_is_interrupted(const MainThread* m, Interrupt interrupt) noexcept {
  return ends_call(m->handlers_ran, interrupt) || m->jump_env;
}

bool main_wants_room(const Carrier* c) noexcept {
  MainThread* m = main_thread();
  return m && __atomic_load_n(&m->carrier, __ATOMIC_RELAXED) == c && signals_wanted(m);
}

void main_interrupt(Carrier* c) noexcept {
  MainThread* m = main_thread();
  if (m->carrier != c) return signals_interrupt_blocking(m);
  m->hurries = signals_wanted(m);
  if (!m->hurries && !main_is_interrupted(m, m->interrupt)) return;
  if (WaitNode* n = m->waits_on) {
    if (take_out(n, WaitResult::kInterrupted)) wake(n, c);
  } else if (IoWait* w = m->waits_for) {
    w->interrupted = true;
    if (!w->cancelled) w->cancel_rest();
    c->reactor.poll(c);
  }
}

void run_deferred(Self* s) noexcept {
  bool attention = false, cancel = s->deferred_count == Self::kMaxDeferred;  // the word may have found no room
  while (void* what = s->pop_deferred()) {
    if (what == Self::kJump || what == Self::kSignals) continue;  // below, also where there was no room for the word
    if (what == Self::kCancel) {
      cancel = true;
      continue;
    }
    if (what == Self::kAttention) {
      attention = true;
      continue;
    }
    if (what == Self::kTls) {
      static_tls_touch();
      continue;
    }
    RuntimeSection section;
    sem_hand_over(what, carrier_here());
  }
  if (attention) signals_section_ended(s->is_virtual ? static_cast<VThread*>(s) : nullptr);
  if (!s->is_virtual) return;
  auto* v = static_cast<VThread*>(s);
  if (signals_wanted(v)) signals_deliver(v, nullptr);
  if (cancel) cancel_act(v);
  auto* m = static_cast<MainThread*>(v);
  if (!v->is_main || !m->jump_env) return;
  void* env = m->jump_env;
  m->jump_env = nullptr;
  signals_leave(m, env, m->jump_value, m->jump_mask);
  libc_calls.siglongjmp((struct __jmp_buf_tag*)env, m->jump_value);
}

// ---------------------------------------------------------------- pthread_exit

namespace {

bool is_last_os_thread() noexcept {
  char text[4096];
  long fd = sys::raw(SYS_open, "/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  long n = sys::raw(SYS_read, fd, text, sizeof text - 1);
  sys::raw(SYS_close, fd);
  text[n > 0 ? n : 0] = 0;
  const char* line = strstr(text, "\nThreads:\t");
  return line && atoi(line + 10) <= 1;
}

/// Where main's unwinding ends: what glibc does there, but the OS thread stays on as carrier 0, and the process ends with the last
/// virtual thread, as with the last thread natively.
extern "C" [[noreturn]] __attribute__((used)) void vt_main_ended() {
  thread_area_run_tls_destructors();
  tsd_run_destructors();
  MainThread* m = main_thread();
  if (!m) {
    // The runtime has stopped since main joined: there are platform threads at most, and the last of them ends the process, were it not
    // that our caller was turned away from glibc's own end. So main stays, and looks now and then.
    while (!is_last_os_thread()) {
      timespec t{0, 20'000'000};
      sys::raw(SYS_nanosleep, &t, nullptr);
    }
    exit(0);
  }
  if (!m->result_set) m->result = PTHREAD_CANCELED;
  blocking_call_ends(m);
  look_up_end(m);
  m->ended = true;
  signals_set_mask(m, ~(uint64_t)synchronous_signals());  // the process's go to threads that live
  thread_note_end(m, m->carrier);
  waits_for_last.store(true, std::memory_order_seq_cst);
  {
    RuntimeSection section;
    WaitNode node(m, ParkReason::kJoin);
    Bucket& b = bucket_of(&waits_for_last);
    bool wait = false;
    {
      LockGuard guard(b.lock);
      if (live_threads()) wait = true, b.push_back(&node, &waits_for_last);
    }
    if (wait) wait_on(node, CLOCK_MONOTONIC, nullptr);
  }
  exit(0);
}
extern "C" void vt_main_ended_stub();
asm(R"(
    .text
    .hidden vt_main_ended
    .type vt_main_ended_stub, @function
vt_main_ended_stub:
    andq $-16, %rsp
    call vt_main_ended
    ud2
    .size vt_main_ended_stub, .-vt_main_ended_stub
)");

uint64_t mangled(void (*function)()) noexcept {
  uint64_t p = (uint64_t)function;
  asm("xorq %%fs:0x30, %0\n\trolq $17, %0" : "+r"(p));
  return p;
}

}  // namespace

void main_prepare_exit() noexcept {
  // The unwinder ends at the outermost of the registered buffers, __libc_start_call_main's. What it would jump to there ends the
  // OS thread by a bare system call; so its program counter (setjmp's layout on x86-64: index 7, mangled) leads to us.
  __pthread_unwind_buf_t here;
  __pthread_register_cancel(&here);
  __pthread_unregister_cancel(&here);
  auto* outermost = static_cast<__pthread_unwind_buf_t*>(here.__pad[0]);
  if (!outermost) return;
  while (auto* next = static_cast<__pthread_unwind_buf_t*>(outermost->__pad[0])) outermost = next;
  constexpr int kProgramCounter = 7;
  ((uint64_t*)outermost->__cancel_jmp_buf[0].__cancel_jmp_buf)[kProgramCounter] = mangled(vt_main_ended_stub);
}

void main_notice_last() noexcept {
  // seq_cst: main stores the flag, then looks at the count; who ends stores the count, then looks at the flag
  if (waits_for_last.load(std::memory_order_seq_cst)) wake_all(&waits_for_last, ParkReason::kJoin, 1, nullptr);
}

void main_ask_native() noexcept {
  Carrier* c = main_thread() ? carrier_at(0) : nullptr;
  if (!c || !c->is_main || !c->idle.load(std::memory_order_relaxed)) return;
  c->go_native.store(true, std::memory_order_seq_cst);
  carrier_wake(c);
}

void main_go_native(Carrier* c) noexcept {
  c->go_native.store(false, std::memory_order_relaxed);
  if (live.load(std::memory_order_seq_cst)) return;
  MainThread* m = main_thread();
  if (WaitNode* n = m->waits_on; n && m->waits_for_ever && !n->keeps_place) {
    if (!take_out(n, WaitResult::kInterrupted)) return;
    m->goes_native = true;
    return wake(n, c);
  }
  IoWait* w = m->io_wait.load(std::memory_order_relaxed);
  if (!w || w->home != c || w->has_deadline || w->cancelled) return;
  w->go_native = true;
  w->cancel_rest();
}

__attribute__((no_sanitize("thread"))) bool main_is_in_handler() noexcept {  // a look, at what main itself writes
  MainThread* m = main_thread();
  return m && (__atomic_load_n(&m->signal_frames, __ATOMIC_RELAXED) || __atomic_load_n(&m->in_deliver, __ATOMIC_RELAXED) || m->home->in_handler);
}

bool main_stops_parking() noexcept {
  MainThread* m = main_thread();
  if (!m) return true;
  main_parks.store(false, std::memory_order_seq_cst);
  signals_barrier();  // [stop]
  // A handler of ours that is on its way may take to the ring as well.
  return __atomic_load_n(&m->depth, __ATOMIC_ACQUIRE) == 0 && !main_is_in_handler() && !m->home->in_kick.load(std::memory_order_acquire);
}

void main_parks_again() noexcept {
  if (main_thread()) main_parks.store(true, std::memory_order_release);
}

void main_leave() noexcept {
  MainThread* m = main_thread();
  if (!m) return;
  joined.store(nullptr, std::memory_order_seq_cst);
  __atomic_store_n(&m->carrier, no_carrier, __ATOMIC_RELEASE);
  m->home = no_carrier;
}

bool main_has_left() noexcept { return current() == &object && !main_thread(); }

void main_settle() noexcept {
  if (main_has_left() && object.depth == 0) vt_self = nullptr;
}

void main_after_fork() noexcept {
  joined.store(nullptr, std::memory_order_relaxed);
  object.carrier = object.home = no_carrier;  // a handler over main may be under way
  main_parks.store(false, std::memory_order_relaxed);
  waits_for_last.store(false, std::memory_order_relaxed);
}

}  // namespace vt
