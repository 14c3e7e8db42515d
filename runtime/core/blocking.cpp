#include "core/blocking.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <new>

#include "api.h"
#include "core/cancel.h"
#include "core/carrier.h"
#include "core/libc_calls.h"
#include "core/look_ups.h"
#include "core/os_thread.h"
#include "core/pin.h"
#include "core/scheduler.h"
#include "core/slot.h"
#include "core/starter.h"
#include "core/wait_table.h"
#include "sys/clock.h"
#include "sys/fs_base.h"
#include "sys/futex.h"
#include "sys/stoppable.h"

namespace vt {
namespace {

constexpr unsigned kMaxThreads = 30000;  // who waits there natively has an OS thread, too: the system's own limits are to count
constexpr uint64_t kLookAgain = 10'000'000;  // ns: where the system gave none; nobody tells when it would
constexpr uint64_t kLinger = 2 * sys::kSecond;  // an idle one leaves after that

SpinLock lock{Rank::kBlocking};
VThread* head = nullptr;
VThread* tail = nullptr;
unsigned unclaimed = 0;  // threads that wait, or will soon, and that no push has been promised
unsigned alive = 0;
std::atomic<unsigned> started{0};
std::atomic<uint32_t> pushed{0};  // futex: changes with each push
unsigned asked_for = 0;           // threads, for the next batch
uint32_t batches_begun = 0, batches_done = 0;
uint64_t refused = 0;             // ns: none can be had until then
std::atomic<uint32_t> waiting{0}; // threads that wait for one, in the wait table
unsigned in_place = 0;            // of those that couldn't be had: calls that block their carriers
Carrier* spare = nullptr;         // Carrier objects of threads that left; linked by `left`

Carrier* new_carrier() noexcept {
  {
    LockGuard guard(lock);
    if (spare) {
      Carrier* c = spare;
      spare = (Carrier*)c->left;
      c->left = nullptr;
      return c;
    }
  }
  void* p = aligned_alloc(alignof(Carrier), sizeof(Carrier));
  if (!p) return nullptr;
  auto* c = new (p) Carrier;
  c->is_blocking = true;
  return c;
}

/// @locks lock is held
void put_back(Carrier* c) noexcept {
  c->left = (VThread*)spare;
  spare = c;
}

VThread* pop() noexcept {
  LockGuard guard(lock);
  VThread* v = head;
  if (!v) return nullptr;
  head = v->next_run;
  if (!head) tail = nullptr;
  return v;
}

/// A thread can be claimed: who waits for one tries again. Not under the lock.
void wake_waiting() noexcept {
  if (waiting.load(std::memory_order_seq_cst)) wake_all(&waiting, ParkReason::kBlocking, 1, nullptr);
}

/// True: nothing came for long, and no push was promised: the thread may go.
bool retire(Carrier* c) noexcept {
  LockGuard guard(lock);
  if (!unclaimed) return false;
  --unclaimed;
  --alive;
  put_back(c);
  return true;
}

void* run(void* argument) noexcept {
  auto* c = static_cast<Carrier*>(argument);
  os_thread_prepare(c, "vtshim-blocking");
  kick_accept();
  for (;;) {
    uint32_t seen = pushed.load(std::memory_order_acquire);
    VThread* v = pop();
    if (!v) {
      timespec deadline = sys::to_timespec(sys::now() + kLinger);
      if (sys::futex_wait(&pushed, seen, &deadline) == -ETIMEDOUT && retire(c)) break;
      continue;
    }
    resume(c, v);
    {
      LockGuard guard(lock);
      ++unclaimed;
    }
    wake_waiting();
  }
  os_thread_leave(c);
  return nullptr;
}

}  // namespace

Claim blocking_claim(uint32_t* asked) noexcept {
  {
    LockGuard guard(lock);
    if (unclaimed) {
      --unclaimed;
      *asked = 0;
      return Claim::kYes;
    }
    if (alive == kMaxThreads || sys::now() < refused) return Claim::kFull;
    if (starter_is_held_up(current() ? kThreadsPatience : kMonitorsPatience)) return Claim::kNo;
    if (*asked && (int32_t)(*asked - batches_done) > 0) return Claim::kLater;
    ++asked_for;  // at first, or somebody else has got that one
    *asked = batches_begun + 1;
  }
  starter_notice();
  return Claim::kLater;
}

bool blocking_start_asked() noexcept {
  unsigned n;
  {
    LockGuard guard(lock);
    if (!asked_for) return false;
    n = asked_for > unclaimed ? asked_for - unclaimed : 0;
    asked_for = 0;
    ++batches_begun;
    if (n > kMaxThreads - alive) n = kMaxThreads - alive;
    alive += n;
  }
  bool some = false;
  for (; n; --n) {
    Carrier* c = new_carrier();
    int r = c ? os_thread_start(c, run, c) : ENOMEM;
    LockGuard guard(lock);
    if (r == 0) {
      started.fetch_add(1, std::memory_order_relaxed);
      ++unclaimed;
      some = true;
      continue;
    }
    if (c) put_back(c);
    alive -= n;
    refused = sys::now() + kRefusal;
    break;
  }
  {
    LockGuard guard(lock);
    batches_done = batches_begun;
  }
  if (some) wake_waiting();
  return true;
}

void blocking_unclaim() noexcept {
  {
    LockGuard guard(lock);
    ++unclaimed;
  }
  wake_waiting();
}

void blocking_push(VThread* v) noexcept {
  {
    LockGuard guard(lock);
    v->next_run = nullptr;
    (tail ? tail->next_run : head) = v;
    tail = v;
  }
  pushed.fetch_add(1, std::memory_order_release);
  sys::futex_wake(&pushed, 1);
}

unsigned blocking_threads_alive() noexcept {
  LockGuard guard(lock);
  return alive;
}
unsigned blocking_threads_started() noexcept { return started.load(std::memory_order_relaxed); }

void blocking_after_fork() noexcept {
  lock.reset();
  head = tail = nullptr;
  unclaimed = alive = asked_for = in_place = 0;
  waiting.store(0, std::memory_order_relaxed);
  look_ups_after_fork();
  batches_done = batches_begun;
  refused = 0;
}

namespace {
void run_pinned(void (*call)(void*), void* arg) {
  struct Reserved {
    Carrier* c = nullptr;
    Reserved() noexcept {
      RuntimeSection section;
      c = block_pinned(current());
      ++current()->pinned_calls;
    }
    ~Reserved() {
      RuntimeSection section;
      --current()->pinned_calls;
      unblock_pinned(c);
    }
  } reserved;
  call(arg);
}
}  // namespace

namespace {
/// Not inlined: in the unit tests whoever was moved has other thread-local variables.
__attribute__((noinline)) Claim move_now(uint32_t* asked) noexcept {
  RuntimeSection section;
  VThread* v = current();
  if (!has_carrier(v) || pinned_now(v) || v->carrier->is_blocking) return Claim::kNo;
  Claim claim = blocking_claim(asked);
  if (claim != Claim::kYes) return claim;
  ++v->carrier->parks[(int)ParkReason::kBlocking];
  v->note.clear();  // for registry.cpp: what it waited for before
  to_blocking_thread();
  return claim;
}
}  // namespace

bool blocking_move() noexcept {
  uint32_t asked = 0;
  Claim claim;
  while ((claim = move_now(&asked)) == Claim::kLater) yield_now();
  return claim == Claim::kYes;
}

namespace {
// Where the system gives no further OS threads, all carriers might block in calls that only other threads end. So one stays free: who finds no other
// carrier waits until a blocking thread has done its call, or the system gives one again.

/// The caller may block its carrier: another is left to the others, or nobody else is there for it. @thread vthread
bool may_block_carrier(bool waited) noexcept {
  RuntimeSection section;
  if (!has_carrier(current()) || current()->blocks_carrier) return true;
  Carrier* c = current()->carrier;
  bool alone = waited && c->queue.size() == 0;
  if (alone) c->reactor.poll(c);
  alone = alone && c->queue.size() == 0;
  LockGuard guard(lock);
  bool idle = c->reactor.in_flight() == 0 && c->timers.next() == sys::kForever;
  if (in_place + 1 >= open_carriers() && !(alone && (alive == 0 || idle))) return false;
  ++in_place;
  current()->blocks_carrier = true;
  return true;
}

/// Until then, or for a moment. @parks
void wait_for_thread() noexcept {
  RuntimeSection section;
  WaitNode node(section.self_ptr(), ParkReason::kBlocking);
  Bucket& b = bucket_of(&waiting);
  // seq_cst: we count ourselves, then ask; who makes one claimable counts that, then looks here
  waiting.fetch_add(1, std::memory_order_seq_cst);
  bool some;
  {
    LockGuard guard(b.lock);
    LockGuard threads(lock);
    some = unclaimed;
    if (!some) b.push_back(&node, &waiting);
  }
  timespec deadline = sys::to_timespec(sys::now() + kLookAgain);
  if (!some) wait_on(node, CLOCK_MONOTONIC, &deadline);
  waiting.fetch_sub(1, std::memory_order_relaxed);
}

/// Where the caller's call is to be made.
enum class Place : uint8_t { kThread, kCarrier, kCountedCarrier };
Place find_place() noexcept {
  uint32_t asked = 0;
  for (bool waited = false;;) {
    switch (move_now(&asked)) {
      case Claim::kYes: return Place::kThread;
      case Claim::kNo: return Place::kCarrier;
      case Claim::kLater: yield_now(); break;
      case Claim::kFull:
        if (may_block_carrier(waited)) return Place::kCountedCarrier;
        wait_for_thread();
        waited = true;
        asked = 0;
    }
  }
}

}  // namespace

void blocking_call_ends(VThread* v) noexcept {
  if (!v->blocks_carrier) return;
  RuntimeSection section;
  v->blocks_carrier = false;
  LockGuard guard(lock);
  --in_place;
}

void blocking_leave() noexcept {
  VThread* v = current();
  if (!v->carrier->is_blocking || v->in_announced || mustnt_park(v)) return;
  RuntimeSection section;
  from_blocking_thread();
}

/// api.h
/// Not to be looked into: what is computed before the call, an address of thread-local memory say, may not serve in it on a slot.
__attribute__((noipa)) void run_blocking(void (*call)(void*), void* arg, size_t size) {
  VThread* v = current();  // main may be a platform thread at any moment, when the runtime stops: its object stays
  if (!v || v->depth || !self_parks(v) || (swaps && leads_to_slot(arg, size))) return call(arg);
  Place place = find_place();
  bool moved = place == Place::kThread;
  if (!moved && v->exclusive) {
    run_pinned(call, arg);
    return;
  }
  if (!moved) {  // on a blocking thread already, an event loop say, or on its carrier, which the monitor then sees
    bool nested = v->in_announced;
    v->in_announced = true;
    call(arg);
    v->in_announced = nested;
    if (place == Place::kCountedCarrier) blocking_call_ends(v);
    return;
  }
  v->in_place = v->is_main;
  v->in_announced = true;
  call(arg);
  // Not reached when a cancellation unwinds the call: the thread ends where it is, main waits in place.
  RuntimeSection section;
  v->in_place = v->in_announced = false;
  if (current() == v && v->carrier->is_blocking) from_blocking_thread();  // else in a child that a handler has forked
}

/// api.h
long blocking_system_call(bool cancel_point, long number, const long (&arguments)[6]) noexcept {
  struct Call {
    long arguments[6], number, result;  // in the open: run_blocking() looks for addresses of thread-local memory
    bool cancel_point;
  } call{{}, number, 0, cancel_point};
  for (int i = 0; i < 6; ++i) call.arguments[i] = arguments[i];
  run_blocking(
      [](void* p) {
        static constexpr bool kNever = false;
        auto* c = static_cast<Call*>(p);
        VThread* v = current();  // none: the runtime has stopped meanwhile, and main is a platform thread
        if (v) v->cancel_shielded = !c->cancel_point;
        c->result = sys::stoppable_call(v && c->cancel_point ? cancel_flag(v) : &kNever, c->number, c->arguments);
        if (v) v->cancel_shielded = false;
        if (c->result == -EPIPE) signal_take_pipe();  // while its OS thread is there
      },
      &call, sizeof call);
  return call.result;
}

}  // namespace vt
