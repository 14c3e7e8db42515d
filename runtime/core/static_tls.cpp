// Static TLS: of libraries that are loaded while threads live, and exchanged on slots (core/slot.h). Layer: core.
#include <stdlib.h>
#include <string.h>
#include <sys/rseq.h>

#include "api.h"
#include "base/spin_lock.h"
#include "core/glibc_layout.h"
#include "core/loader_lock.h"
#include "core/main_thread.h"
#include "core/registry.h"
#include "core/scheduler.h"
#include "core/slot.h"
#include "core/thread_area.h"
#include "core/tsd.h"
#include "core/vthread.h"
#include "sys/futex.h"

namespace vt {

// ---------------------------------------------------------------- exchanging contents
//
// Libc reads these fields of struct pthread relative to FS; all others by way of `self`, which is exchanged with them: so pthread_self(),
// the owners of stdio's locks and the first keys' values are those of the thread's own area, wherever FS points.

std::atomic<size_t> static_tls_extent{0};

namespace {
/// `size` is a multiple of 64; both addresses are aligned to 16.
inline void copy(char* to, const char* from, size_t size) noexcept {
  using Word = long long __attribute__((vector_size(16)));
  for (size_t i = 0; i < size; i += 64) {
    auto* t = (Word*)(to + i);
    auto* f = (const Word*)(from + i);
    Word a = f[0], b = f[1], c = f[2], d = f[3];
    t[0] = a, t[1] = b, t[2] = c, t[3] = d;
  }
}
inline void exchange_fields(char* to, const char* from) noexcept {
  using Pair = long long __attribute__((vector_size(16), aligned(8)));
  *(Pair*)(to + kDtv) = *(const Pair*)(from + kDtv);  // self, too
  *(int*)(to + g.tid) = *(const int*)(from + g.tid);
  *(Pair*)(to + g.cleanup) = *(const Pair*)(from + g.cleanup);  // cleanup_jmp_buf, too
  size_t specific = g.specific_used - (size_t)g.specific;
  if (__builtin_expect(!many_keys.load(std::memory_order_relaxed), 1)) *(void**)(to + g.specific) = *(void* const*)(from + g.specific);
  else __builtin_memcpy(to + g.specific, from + g.specific, specific);
  *(long*)(to + g.specific_used) = *(const long*)(from + g.specific_used);
}
}  // namespace

void thread_area_save(const char* base, char* area) noexcept {
  size_t n = static_tls_extent.load(std::memory_order_relaxed);
  copy(area - n, base - n, n);
  exchange_fields(area, base);
}
void thread_area_load(char* base, const char* area) noexcept {
  size_t n = static_tls_extent.load(std::memory_order_relaxed);
  copy(base - n, area - n, n);
  exchange_fields(base, area);
}

char* thread_area_shadow_memory() noexcept {
  size_t a = thread_area_alignment(), offset = (whole_extent() + a - 1) & ~(a - 1);
  auto* low = (char*)aligned_alloc(a, (offset + g.pthread_size + a - 1) & ~(a - 1));
  return low ? low + offset : nullptr;
}
void thread_area_shadow(char* shadow, char* base) noexcept {
  size_t full = whole_extent();
  memcpy(shadow - full, base - full, full + g.pthread_size);
  at<void*>(shadow, kTcb) = shadow;
  if (g.rseq_cpu_id) at<int>(shadow, g.rseq_cpu_id) = RSEQ_CPU_ID_REGISTRATION_FAILED;
}

void thread_area_rebase(char* area, char* from, char* to) noexcept {
  auto* dtv = at<DtvEntry*>(area, kDtv);
  size_t entries = (size_t)dtv[-1].value, full = whole_extent();
  for (size_t i = 1; i <= entries; ++i) {
    auto* block = (char*)dtv[i].value;
    if (block >= from - full && block < from) dtv[i].value = to - (from - block);
  }
}

// ---------------------------------------------------------------- static TLS of libraries loaded later

namespace {
/// glibc's own lock of three states; who holds it may be any thread of the process, for some instructions or a setuid.
class StacksLock {
 public:
  StacksLock() noexcept {
    uint32_t free = 0;
    if (__atomic_compare_exchange_n(g.stacks_lock, &free, 1u, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
    while (__atomic_exchange_n(g.stacks_lock, 2u, __ATOMIC_ACQUIRE) != 0) sys::raw(SYS_futex, g.stacks_lock, kWait, 2, nullptr);
  }
  ~StacksLock() {
    if (__atomic_exchange_n(g.stacks_lock, 0u, __ATOMIC_RELEASE) > 1) sys::raw(SYS_futex, g.stacks_lock, kWake, 1);
  }

 private:
  static constexpr int kWait = 128, kWake = 129;  // FUTEX_WAIT, FUTEX_WAKE, private
};

/// A number that tells one module from another that has its modid later; 0: there's none.
size_t generation_of(size_t modid) noexcept {
  for (char* table = *g.slots; table; table = at<char*>(table, g.slots_next)) {
    auto n = at<size_t>(table, g.slots_length);
    if (modid < n) return __atomic_load_n(&at<size_t>(table, g.slots_first + (long)(modid * g.slot_size) + g.slot_generation), __ATOMIC_ACQUIRE);
    modid -= n;
  }
  return 0;
}

std::atomic<uint32_t> loads{0};   // dlopen calls so far
std::atomic<uint32_t> synced{0};  // `loads` at the start of the last sync
std::atomic<uint32_t> loading{0};  // dlopen calls under way
SpinLock sync_lock{Rank::kRuntime};
constexpr size_t kModules = 4096;  // static TLS is full long before
size_t known[kModules];            // by modid: the generation whose image is in the areas. A modid is given again after dlclose

/// While a library is being loaded its part isn't known yet, and what others keep there may not be lost. @locks sync_lock
void set_extent() noexcept {
  if (!swaps) return;
  size_t most = whole_extent();
  if (!loading.load(std::memory_order_relaxed) && loads.load(std::memory_order_acquire) == synced.load(std::memory_order_relaxed)) {
    size_t used = 0;
    for (link_map* map = g.first_map; map; map = map->l_next)
      if (long offset = at<long>((char*)map, g.map_tls_offset); at<size_t>((char*)map, g.map_tls_modid) && offset > (long)used) used = (size_t)offset;
    if (size_t n = (used + 63) & ~(size_t)63; n < most) most = n;
  }
  static_tls_extent.store(most, std::memory_order_relaxed);
}

void look_at_extent() noexcept {
  LoaderLock lock(LoaderLock::kPatient);  // nobody unloads meanwhile
  RuntimeSection section;
  LockGuard guard(sync_lock);
  set_extent();
}

struct Image {
  long offset;
  const void* data;
  size_t file_size, memory_size;
};

void put_image(VThread* v, void* p) noexcept {
  if (g.user_stacks && __atomic_load_n(&v->loads, __ATOMIC_ACQUIRE)) return;  // ld.so does it
  auto& image = *static_cast<Image*>(p);
  char* block = v->area - image.offset;
  memcpy(block, image.data, image.file_size);
  memset(block + image.file_size, 0, image.memory_size - image.file_size);
}
}  // namespace

// While a virtual thread loads libraries its area is on glibc's list: so ld.so puts their static TLS there before their constructors run on
// the thread. What glibc does besides with those on the list is to signal them by their ids for setuid, which fails for a virtual one.
void static_tls_show() noexcept {
  VThread* v = current();
  if (!v || v->is_main || v->loads++ || !g.user_stacks) return;
  RuntimeSection section;
  StacksLock lock;
  char *node = v->tp + g.list, *head = g.user_stacks, *first = at<char*>(head, 0);
  at<char*>(node, 0) = first;
  at<char*>(node, 8) = head;
  at<char*>(first, 8) = node;
  at<char*>(head, 0) = node;
}
void static_tls_load_begins() noexcept {
  loading.fetch_add(1, std::memory_order_acq_rel);
  if (swaps) look_at_extent();
  static_tls_show();
}
void static_tls_hide(VThread* v) noexcept {
  if (!v->loads) return;
  __atomic_store_n(&v->loads, 0u, __ATOMIC_RELEASE);
  if (!g.user_stacks) return;
  RuntimeSection section;
  StacksLock lock;
  char *node = v->tp + g.list, *next = at<char*>(node, 0), *before = at<char*>(node, 8);
  at<char*>(before, 0) = next;
  at<char*>(next, 8) = before;
  at<char*>(node, 0) = at<char*>(node, 8) = node;
}
void static_tls_load_ends() noexcept {
  static_tls_sync();  // while this thread's own area is left out: what constructors wrote there stays
  if (VThread* v = current(); v && !v->is_main && v->loads) {
    if (v->loads == 1) static_tls_hide(v);
    else --v->loads;
  }
  loading.fetch_sub(1, std::memory_order_acq_rel);
  static_tls_note_load();
  if (!swaps) return;
  slots_look_at_libraries();
  if (current()) static_tls_touch();
}
void static_tls_note_load() noexcept {
  loads.fetch_add(1, std::memory_order_acq_rel);
  if (swaps) look_at_extent();
}

uint32_t static_tls_loads() noexcept { return loads.load(std::memory_order_relaxed); }

namespace {
/// With `self` as FS: ld.so computes from it. @locks ld.so's lock of TLS
void touch_all(VThread* v) noexcept {
  struct Index {
    size_t module, offset;
  };
  char* base = sys::thread_pointer();
  char*& self = at<char*>(base, kSelf);
  self = base;
  size_t module = 0;
  for (char* table = *g.slots; table; table = at<char*>(table, g.slots_next)) {
    for (size_t i = 0, n = at<size_t>(table, g.slots_length); i < n; ++i, ++module) {
      // Not ld.so's list of libraries: one that is being loaded or unloaded is there with a modid, and ld.so crashes over that.
      auto* map = at<char*>(table, g.slots_first + (long)(i * g.slot_size) + g.slot_map);
      if (!map || at<long>(map, g.map_tls_offset) <= 0) continue;
      Index index{module, 0};
      g.tls_get_addr(&index);
    }
  }
  self = v->tp;
}
}  // namespace

void static_tls_touch() noexcept {
  VThread* v = current();
  bool patient = can_park();
  RuntimeSection section;  // no time slice ends in the middle: others would unload what is looked at
  while (v->loads_seen != static_tls_loads()) {
    LoaderLock lock(LoaderLock::kNow);
    if (lock) {
      uint32_t seen = static_tls_loads();
      touch_all(v);  // on a blocking thread, too: back on the slot the entries come along
      v->loads_seen = seen;
    } else if (patient) {
      yield_now();
    } else {
      return;  // at the next switch
    }
  }
}

bool static_tls_is_behind() noexcept {
  // acquire: pairs with the note after dlopen's return
  return loading.load(std::memory_order_relaxed) ||
         loads.load(std::memory_order_acquire) != synced.load(std::memory_order_relaxed);
}

void static_tls_sync() noexcept {
  LoaderLock lock(LoaderLock::kPatient);  // nobody unloads meanwhile
  RuntimeSection section;
  LockGuard guard(sync_lock);
  uint32_t seen = loads.load(std::memory_order_acquire);
  for (link_map* map = g.first_map; map; map = map->l_next) {
    size_t modid = at<size_t>((char*)map, g.map_tls_modid);
    long offset = at<long>((char*)map, g.map_tls_offset);
    if (!modid || modid >= kModules || offset <= 0) continue;
    size_t generation = generation_of(modid);
    if (known[modid] == generation + 1) continue;
    known[modid] = generation + 1;
    const ElfW(Phdr)* tls = tls_segment(map);
    if (!tls) continue;
    Image image{offset, (const void*)(map->l_addr + tls->p_vaddr), tls->p_filesz, tls->p_memsz};
    registry_each_area(put_image, &image);
    if (VThread* m = main_thread(); m && m->area != m->tp) put_image(m, &image);
  }
  synced.store(seen, std::memory_order_relaxed);
  set_extent();
}

}  // namespace vt
