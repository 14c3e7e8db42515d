#include "core/registry.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <atomic>

#include "base/log.h"
#include "base/spin_lock.h"
#include "core/carrier.h"
#include "core/main_thread.h"
#include "core/vthread.h"
#include "core/wait_table.h"
#include "sys/raw.h"

namespace vt {
namespace {
constexpr uint32_t kChunk = 4096;
constexpr int kTries = 100;  // to read what changes all the time
using Slot = std::atomic<VThread*>;
std::atomic<Slot*> chunks[kMaxSlots / kChunk];
std::atomic<uint32_t> count{0};
SpinLock add_lock{Rank::kPool};
}  // namespace

bool registry_add(VThread* thread, uint32_t* slot) noexcept {
  LockGuard guard(add_lock);
  uint32_t n = count.load(std::memory_order_relaxed);
  if (n == kMaxSlots) return false;
  Slot* chunk = chunks[n / kChunk].load(std::memory_order_relaxed);
  if (!chunk) {
    long p = sys::raw(SYS_mmap, nullptr, kChunk * sizeof(Slot), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p < 0) return false;
    chunk = (Slot*)p;
    chunks[n / kChunk].store(chunk, std::memory_order_release);
  }
  chunk[n % kChunk].store(thread, std::memory_order_release);
  count.store(n + 1, std::memory_order_release);  // pairs with [registry-count]
  *slot = n;
  return true;
}

uint32_t registry_count() noexcept { return count.load(std::memory_order_acquire); }  // [registry-count]

VThread* registry_at(uint32_t slot) noexcept {
  if (slot >= registry_count()) return nullptr;
  return chunks[slot / kChunk].load(std::memory_order_acquire)[slot % kChunk].load(std::memory_order_acquire);
}

void registry_each_area(void (*visit)(VThread*, void*), void* arg) noexcept {
  for (uint32_t i = 0, n = registry_count(); i < n; ++i)
    if (VThread* v = registry_at(i)) visit(v, arg);
}

void registry_after_fork() noexcept {
  add_lock.reset();
  for (uint32_t i = 0, n = count.load(std::memory_order_relaxed); i < n; ++i) {
    Slot* chunk = chunks[i / kChunk].load(std::memory_order_relaxed);
    if (!chunk) return count.store(i, std::memory_order_relaxed);  // likewise older than the count
    Slot& slot = chunk[i % kChunk];
    VThread* v = slot.load(std::memory_order_relaxed);
    if (v && !v->stack_top) slot.store(nullptr, std::memory_order_relaxed);
  }
}

// ---------------------------------------------------------------- names and ids

void VThread::get_name(char (&out)[16]) const noexcept {
  uint64_t words[2];
  uint32_t sequence;
  for (int i = 0; i < kTries && !name.read(words, &sequence); ++i) __builtin_ia32_pause();
  memcpy(out, words, sizeof out);
  out[15] = 0;
}

void VThread::set_name(const char (&text)[16]) noexcept {
  uint64_t words[2];
  memcpy(words, text, sizeof words);
  name.write(words);
}

namespace {

// Slots by the low bits of ids, filled by who searches, so that 100,000 holders aren't searched 100,000 times. Stale entries do no
// harm: the thread's own id is compared. Ids come from a counter, so those of 2^20 threads hardly collide. Zero pages until used.
constexpr uint32_t kFound = 1 << 20;
std::atomic<uint32_t> found_at[kFound];

bool in_use(const VThread* v) noexcept { return v->state.load(std::memory_order_acquire) != State::kFree; }

}  // namespace

VThread* registry_find(pid_t id) noexcept {
  if (MainThread* m = main_thread(); m && m->id.load(std::memory_order_relaxed) == id) return m;
  if (id < kVirtualTidBase) return nullptr;
  auto is_it = [id](VThread* v) { return v && v->id.load(std::memory_order_relaxed) == id && in_use(v); };
  auto& hint = found_at[(uint32_t)id % kFound];
  VThread* v = registry_at(hint.load(std::memory_order_relaxed));
  if (is_it(v)) return v;
  for (uint32_t i = 0, n = registry_count(); i < n; ++i)
    if (VThread* other = registry_at(i))
      found_at[(uint32_t)other->id.load(std::memory_order_relaxed) % kFound].store(i, std::memory_order_relaxed);
  v = registry_at(hint.load(std::memory_order_relaxed));
  return is_it(v) ? v : nullptr;  // else none, or one of two whose ids collide
}

namespace {

/// A platform thread's, from the kernel.
void os_name(pid_t tid, char (&out)[16]) noexcept {
  char path[64];
  print_into(path, sizeof path, "/proc/self/task/%d/comm", tid);
  out[0] = 0;
  long fd = sys::raw(SYS_open, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  long n = sys::raw(SYS_read, fd, out, sizeof out - 1);
  sys::raw(SYS_close, fd);
  while (n > 0 && out[n - 1] == '\n') --n;
  out[n > 0 ? n : 0] = 0;
}

/// Copies what may not be there any more.
bool peek(const void* from, void* to, size_t size) noexcept {
  iovec local{to, size}, remote{const_cast<void*>(from), size};
  return sys::raw(SYS_process_vm_readv, sys::raw(SYS_getpid), &local, 1, &remote, 1, 0) == (long)size;
}

void set_holder(ThreadInfo* out, pid_t id) noexcept {
  out->holder = id;
  VThread* v = id ? registry_find(id) : nullptr;
  if (v && !v->is_main) v->get_name(out->holder_name);
  else if (id && id < kVirtualTidBase) os_name(id, out->holder_name);
}

void look_at_mutex(ThreadInfo* out, const void* mutex) noexcept {
  pthread_mutex_t m;
  if (peek(mutex, &m, sizeof m) && m.__data.__lock) set_holder(out, m.__data.__owner);
}

/// Who has what `out` waits for, as far as that can be told.
void look_at_object(ThreadInfo* out, const void* node) noexcept {
  switch (out->reason) {
    case ParkReason::kMutex: return look_at_mutex(out, out->object);
    case ParkReason::kCond: {
      const void* key = nullptr;
      peek((const char*)node + __builtin_offsetof(WaitNode, aux), &out->mutex, sizeof out->mutex);
      peek((const char*)node + __builtin_offsetof(WaitNode, key), &key, sizeof key);
      out->in_mutex = out->mutex && key == out->mutex;
      if (out->in_mutex) look_at_mutex(out, out->mutex);
      return;
    }
    case ParkReason::kRwlock: {
      constexpr uint32_t kWriter = 1u << 31, kReaders = (1u << 30) - 1;  // sync/rwlock.cpp
      pthread_rwlock_t l;
      if (!peek(out->object, &l, sizeof l)) return;
      out->readers = l.__data.__readers & kReaders;
      if (l.__data.__readers & kWriter) set_holder(out, l.__data.__cur_writer);
      return;
    }
    case ParkReason::kJoin: {
      if (out->is_main && main_thread()->ended) {
        out->for_all = true;
        out->object = nullptr;
        return;
      }
      // The key is the joined one's `done`; units stay for ever.
      auto* v = (VThread*)((char*)out->object - __builtin_offsetof(VThread, done));
      return set_holder(out, v->id.load(std::memory_order_relaxed));
    }
    default: return;
  }
}

VThread* in_slot(uint32_t slot) noexcept { return slot == kMainSlot ? main_thread() : registry_at(slot); }

Doing doing_of(VThread* v, State state) noexcept {
  if (state == State::kParked) return Doing::kWaiting;
  if (__atomic_load_n(&v->done, __ATOMIC_RELAXED) && !v->is_main) return Doing::kEnded;
  if (state == State::kRunnable) return Doing::kRunnable;
  Carrier* c = __atomic_load_n(&v->carrier, __ATOMIC_ACQUIRE);
  return c && c->is_blocking ? Doing::kBlocking : Doing::kRunning;
}

/// One try. False: it went on meanwhile. `out` is whole but for the wait then.
bool look(VThread* v, State state, ThreadInfo* out) noexcept {
  uint64_t words[4];
  uint32_t sequence;
  bool whole = v->note.read(words, &sequence);
  // The note is older than the state: who parks writes it before. So if the note and a state of kParked still stand at the end, they
  // belong together, and so does what was read in between.
  State now = v->state.load(std::memory_order_acquire);
  out->id = v->id.load(std::memory_order_relaxed);
  out->doing = doing_of(v, now);
  out->since = v->since.load(std::memory_order_acquire);
  if (Carrier* c = __atomic_load_n(&v->carrier, __ATOMIC_ACQUIRE)) {
    out->carrier = c->is_blocking ? -1 : (int)__atomic_load_n(&c->index, __ATOMIC_RELAXED);
    out->os_tid = __atomic_load_n(&c->os_tid, __ATOMIC_RELAXED);
  }
  if (v->is_main) os_name(out->id, out->name);
  else v->get_name(out->name);
  if (!whole || now != state) return false;
  if (now == State::kParked || (out->doing == Doing::kBlocking && words[0])) {
    out->reason = (ParkReason)(words[0] & ((1 << WaitNote::kCountShift) - 1));
    out->fd_count = (uint32_t)(words[0] >> WaitNote::kCountShift);
    out->deadline = words[3];
    if (out->fd_count) {
      for (int i = 0; i < 4; ++i) out->fds[i] = (int)(uint32_t)(words[1 + i / 2] >> (i % 2 * 32));
    } else {
      out->object = out->reason == ParkReason::kSleep ? nullptr : (const void*)words[1];
      look_at_object(out, (const void*)words[2]);
    }
  }
  return v->note.unchanged(sequence) && v->state.load(std::memory_order_acquire) == now;
}

}  // namespace

bool registry_snapshot(uint32_t slot, ThreadInfo* out) noexcept {
  VThread* v = in_slot(slot);
  if (!v) return false;
  for (int i = 0;; ++i) {
    State state = v->state.load(std::memory_order_acquire);
    if (state == State::kFree) return false;
    memset(out, 0, sizeof *out);
    out->slot = slot;
    out->is_main = v->is_main;
    out->carrier = -1;
    out->deadline = sys::kForever;
    if (look(v, state, out)) return true;
    if (i < kTries) continue;
    // It parks and goes on all the time: that is, it runs.
    bool waits = out->doing == Doing::kWaiting;
    ThreadInfo rest{};
    rest.slot = slot, rest.id = out->id, rest.is_main = out->is_main, rest.since = out->since;
    rest.doing = waits ? Doing::kRunning : out->doing;
    rest.carrier = out->carrier, rest.os_tid = out->os_tid, rest.deadline = sys::kForever;
    memcpy(rest.name, out->name, sizeof rest.name);
    *out = rest;
    return true;
  }
}

Doing registry_doing(uint32_t slot) noexcept {
  VThread* v = in_slot(slot);
  State state = v ? v->state.load(std::memory_order_acquire) : State::kFree;
  return state == State::kFree ? Doing::kCount : doing_of(v, state);
}

}  // namespace vt
