#include "core/thread_area.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <locale.h>
#include <malloc.h>
#include <resolv.h>
#undef p_type  // resolv.h's macro is in the way of ElfW(Phdr)
#include <stdlib.h>
#include <string.h>
#include <sys/rseq.h>

#include "base/log.h"
#include "base/spin_lock.h"
#include "core/main_thread.h"
#include "core/registry.h"
#include "core/scheduler.h"
#include "core/slot.h"
#include "core/self.h"
#include "core/tsd.h"
#include "core/vthread.h"
#include "sys/fs_base.h"

namespace vt {
namespace {

// x86-64 TLS ABI (tcbhead_t), as compiled into every program.
constexpr long kTcb = 0, kDtv = 8, kSelf = sys::kSelfOffset, kMultipleThreads = 24, kStackGuard = 40, kPointerGuard = 48, kHeaderEnd = 56;

/// thread_db's descriptor of a field: its size in bits (of an element), how many, its offset.
struct FieldDescriptor {
  uint32_t bits, count, offset;
};
struct DtvEntry {
  void* value;
  void* to_free;
};

struct Glibc {
  void* (*allocate_tls)(void*);
  void* (*allocate_tls_init)(void*, bool);
  void* (*tls_get_addr)(void*);
  void (*call_tls_dtors)();
  void (*ctype_init)();
  size_t static_size, static_alignment;
  size_t pthread_size;
  long tid, list, specific, cancelhandling, dtvp;
  size_t list_size;
  long specific_first_block;
  size_t specific_count, key_data_size;
  long robust_head;
  long cleanup;           // and cleanup_jmp_buf: between the robust list and cancelhandling
  size_t specific_used;   // the flag behind the table of blocks
  long robust_futex_offset;
  long rseq_cpu_id;  // 0: none registered
  long map_tls_offset, map_tls_modid;
  char** slots;     // ld.so's list of tables of modules with TLS, by modid
  size_t slot_size;
  char* user_stacks;  // glibc's list of the threads on stacks of the program's, and the lock of such lists; null: not found
  uint32_t* stacks_lock;
  long slots_length, slots_next, slots_first, slot_generation;
  long resp;        // the resolver's pointer to its state, __resp: in libc's block; 0: not found
  link_map* first_map;
  long libc_block;  // libc's own TLS block is at tp - libc_block
  size_t libc_block_size;
};
Glibc g;

/// Static TLS that there can be.
size_t whole_extent() noexcept { return (g.static_size - g.pthread_size) & ~(size_t)63; }

template <class F>
bool find(F*& slot, const char* name, const char** missing) noexcept {
  slot = reinterpret_cast<F*>(dlsym(RTLD_DEFAULT, name));
  if (!slot) *missing = name;
  return slot != nullptr;
}

bool field(long& offset, const char* name, const char** missing, uint32_t bits = 0) noexcept {
  const FieldDescriptor* d;
  if (!find(d, name, missing)) return false;
  if (bits && d->bits != bits) return *missing = name, false;
  offset = (long)d->offset;
  return true;
}

template <class T>
T& at(char* base, long offset) noexcept {
  return *reinterpret_cast<T*>(base + offset);
}

/// PT_TLS of the object that a link map describes; null if it has none.
const ElfW(Phdr)* tls_segment(const link_map* map, const ElfW(Phdr)** storage) noexcept {
  struct Search {
    ElfW(Addr) base;
    const ElfW(Dyn)* dynamic;
    const ElfW(Phdr)* tls;
  } search{map->l_addr, map->l_ld, nullptr};
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* p) {
        auto* s = static_cast<Search*>(p);
        const ElfW(Phdr)* tls = nullptr;
        bool mine = false;
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const ElfW(Phdr)& h = info->dlpi_phdr[i];
          if (h.p_type == PT_TLS) tls = &h;
          if (h.p_type == PT_DYNAMIC && info->dlpi_addr == s->base &&
              (const ElfW(Dyn)*)(info->dlpi_addr + h.p_vaddr) == s->dynamic)
            mine = true;
        }
        if (mine) s->tls = tls;
        return mine ? 1 : 0;
      },
      &search);
  *storage = search.tls;
  return search.tls;
}

bool find_slots(const char** missing) noexcept {
  char* rtld;
  const uint32_t* size;
  long list;
  if (!find(rtld, "_rtld_global", missing) || !field(list, "_thread_db_rtld_global__dl_tls_dtv_slotinfo_list", missing, 64) ||
      !find(size, "_thread_db_sizeof_dtv_slotinfo", missing) || !field(g.slots_length, "_thread_db_dtv_slotinfo_list_len", missing, 64) ||
      !field(g.slots_next, "_thread_db_dtv_slotinfo_list_next", missing, 64) ||
      !field(g.slots_first, "_thread_db_dtv_slotinfo_list_slotinfo", missing) || !field(g.slot_generation, "_thread_db_dtv_slotinfo_gen", missing, 64))
    return false;
  g.slots = &at<char*>(rtld, list);
  g.slot_size = *size;
  return true;
}

/// Only for the glibc that was looked at: thread_db says where the lists are, but not the lock behind them.
void find_stacks() noexcept {
  const char* missing;
  char* rtld;
  long used, user;
  if (strcmp(gnu_get_libc_version(), "2.36") != 0 || !find(rtld, "_rtld_global", &missing) ||
      !field(used, "_thread_db_rtld_global__dl_stack_used", &missing) || !field(user, "_thread_db_rtld_global__dl_stack_user", &missing))
    return;
  char* cache = rtld + user + 16;  // then a size, an address, the lock
  auto* lock = &at<uint32_t>(cache, 32);
  if (user != used + 16 || at<char*>(at<char*>(cache, 0), 8) != cache || *lock != 0) return;
  g.user_stacks = rtld + user;
  g.stacks_lock = lock;
}

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

bool find_libc_block(const char** missing) noexcept {
  Dl_info info;
  link_map* map = nullptr;
  if (!dladdr1((void*)g.ctype_init, &info, (void**)&map, RTLD_DL_LINKMAP) || !map) return *missing = "libc's link map", false;
  const ElfW(Phdr)* tls;
  if (!tls_segment(map, &tls)) return *missing = "libc's TLS segment", false;
  g.libc_block = at<long>((char*)map, g.map_tls_offset);
  g.libc_block_size = tls->p_memsz;
  if (g.libc_block <= 0 || (size_t)g.libc_block > g.static_size) return *missing = "libc's static TLS block", false;
  // errno must lie in it, or the offset isn't what we take it for.
  char* tp = sys::thread_pointer();
  char* e = (char*)__errno_location();
  if (e < tp - g.libc_block || e >= tp - g.libc_block + (long)g.libc_block_size) return *missing = "errno in libc's TLS block", false;
  // For later: to look these up takes ld.so's lock, which somebody may hold across a park.
  if (char* resp = (char*)dlsym(RTLD_DEFAULT, "__resp"); resp && resp >= tp - g.libc_block && resp < tp) g.resp = resp - tp;
  for (g.first_map = map; g.first_map->l_prev;) g.first_map = g.first_map->l_prev;
  return true;
}

void set_header(char* tp, pid_t tid) noexcept {
  // Once: a carrier's loop may run on a recycled area, in code of liburing's that checks the stack guard.
  if (at<void*>(tp, kSelf) != tp) {
    at<void*>(tp, kTcb) = tp;
    at<void*>(tp, kSelf) = tp;
    at<int>(tp, kMultipleThreads) = 1;
    at<uintptr_t>(tp, kStackGuard) = sys::read_fs<uintptr_t>(kStackGuard);
    at<uintptr_t>(tp, kPointerGuard) = sys::read_fs<uintptr_t>(kPointerGuard);
  }
  at<int>(tp, g.tid) = tid;
  // A list of its own: glibc's fork unlinks the caller's entry in the child.
  at<void*>(tp, g.list) = tp + g.list;
  at<void*>(tp, g.list + 8) = tp + g.list;
  at<void*>(tp, g.specific) = tp + g.specific_first_block;
  // robust_head.list and, before it, robust_prev point to the head; then the futex offset.
  at<void*>(tp, g.robust_head) = tp + g.robust_head;
  at<void*>(tp, g.robust_head - 8) = tp + g.robust_head;
  at<long>(tp, g.robust_head + 8) = g.robust_futex_offset;
  if (g.rseq_cpu_id) at<int>(tp, g.rseq_cpu_id) = RSEQ_CPU_ID_REGISTRATION_FAILED;  // sched_getcpu then asks the kernel
}

}  // namespace

bool thread_area_probe(const char** missing) noexcept {
  void (*static_info)(size_t*, size_t*);
  const uint32_t* pthread_size;
  const FieldDescriptor* specific;
  const uint32_t* key_data_size;
  if (!find(g.allocate_tls, "_dl_allocate_tls", missing) || !find(g.allocate_tls_init, "_dl_allocate_tls_init", missing) ||
      !find(g.tls_get_addr, "__tls_get_addr", missing) || !find(g.call_tls_dtors, "__call_tls_dtors", missing) || !find(g.ctype_init, "__ctype_init", missing) ||
      !find(static_info, "_dl_get_tls_static_info", missing) ||
      !find(pthread_size, "_thread_db_sizeof_pthread", missing) ||
      !find(key_data_size, "_thread_db_sizeof_pthread_key_data", missing) ||
      !find(specific, "_thread_db_pthread_specific", missing) || !field(g.tid, "_thread_db_pthread_tid", missing, 32) ||
      !field(g.list, "_thread_db_pthread_list", missing, 128) ||
      !field(g.cancelhandling, "_thread_db_pthread_cancelhandling", missing, 32) ||
      !field(g.dtvp, "_thread_db_pthread_dtvp", missing, 64) ||
      !field(g.map_tls_offset, "_thread_db_link_map_l_tls_offset", missing, 64) ||
      !field(g.map_tls_modid, "_thread_db_link_map_l_tls_modid", missing, 64) || !find_slots(missing))
    return false;
  find_stacks();
  static_info(&g.static_size, &g.static_alignment);
  g.pthread_size = *pthread_size;
  g.key_data_size = *key_data_size;
  g.specific = (long)specific->offset;
  g.specific_count = specific->bits / 64 * specific->count;  // libc has put all bits into one element
  if (g.specific_count < 1 || g.specific_count > 64) return *missing = "the table of thread-specific data", false;
  if (g.dtvp != kDtv) return *missing = "the DTV at offset 8", false;

  // The calling thread's own area shows the rest: where glibc put what it registered with the kernel.
  char* tp = sys::thread_pointer();
  if (at<int>(tp, g.tid) != (int)sys::raw(SYS_gettid)) return *missing = "the tid in struct pthread", false;
  g.specific_first_block = at<char*>(tp, g.specific) - tp;
  if (g.specific_first_block <= 0 || g.specific_first_block >= (long)g.pthread_size)
    return *missing = "the first block of thread-specific data", false;
  char* head = nullptr;
  size_t head_size = 0;
  sys::raw(SYS_get_robust_list, 0, &head, &head_size);
  g.robust_head = head - tp;
  if (!head || g.robust_head <= 0 || g.robust_head >= (long)g.pthread_size) return *missing = "the robust list", false;
  g.robust_futex_offset = at<long>(tp, g.robust_head + 8);
  g.cleanup = g.robust_head + 24;
  g.specific_used = (size_t)g.specific + g.specific_count * sizeof(void*);
  auto* rseq_offset = static_cast<const ptrdiff_t*>(dlsym(RTLD_DEFAULT, "__rseq_offset"));
  if (rseq_offset && *rseq_offset > 0 && *rseq_offset < (long)g.pthread_size)
    g.rseq_cpu_id = *rseq_offset + (long)offsetof(struct rseq, cpu_id);
  return find_libc_block(missing);
}

size_t thread_area_size() noexcept { return g.static_size + g.static_alignment; }
size_t thread_area_alignment() noexcept { return g.static_alignment < 64 ? 64 : g.static_alignment; }
size_t thread_pointer_offset() noexcept {
  size_t a = thread_area_alignment();
  return (thread_area_size() - g.pthread_size) & ~(a - 1);
}

pid_t thread_area_tid(const char* tp) noexcept { return at<int>(const_cast<char*>(tp), g.tid); }
pid_t own_tid() noexcept {
#ifdef VT_UNIT
  if (VThread* v = current()) return thread_area_tid(v->tp);  // FS is the carrier's
#endif
  return sys::read_fs<int>(g.tid);
}
long thread_area_tid_offset() noexcept { return g.tid; }
void thread_area_set_tid(char* tp, pid_t tid) noexcept { at<int>(tp, g.tid) = tid; }
const char* thread_area_libc_block(size_t* size) noexcept { return *size = g.libc_block_size, sys::thread_pointer() - g.libc_block; }

void* thread_area_robust_list(char* tp) noexcept { return tp + g.robust_head; }

void thread_area_set_cancelled(char* tp) noexcept {
  constexpr int kCanceling = 4, kCanceled = 8;  // nptl/descr.h, and every debugger
  __atomic_or_fetch(&at<int>(tp, g.cancelhandling), kCanceling | kCanceled, __ATOMIC_SEQ_CST);
}

bool thread_area_create(char* tp, pid_t tid) noexcept {
  if (!g.allocate_tls(tp)) return false;
  set_header(tp, tid);
  return true;
}

bool thread_area_recycle(char* tp, pid_t tid, bool keep_libc) noexcept {
  constexpr size_t kMaxBlock = 4096;
  char saved[kMaxBlock];
  keep_libc = keep_libc && g.libc_block_size <= kMaxBlock;
  if (keep_libc) memcpy(saved, tp - g.libc_block, g.libc_block_size);

  auto* dtv = at<DtvEntry*>(tp, kDtv);
  size_t entries = (size_t)dtv[-1].value;
  for (size_t i = 1; i <= entries; ++i) free(dtv[i].to_free);
  memset(dtv, 0, (entries + 1) * sizeof *dtv);
  for (size_t i = 1; many_keys.load(std::memory_order_relaxed) && i < g.specific_count; ++i) free(at<void*>(tp, g.specific + (long)(i * sizeof(void*))));

  // Everything of struct pthread behind its header starts as in a new thread. The header (pointers to itself and the DTV, guards)
  // never changes: the carrier that the last thread ended on has this area mounted still, while it waits in its ring.
  memset(tp + kHeaderEnd, 0, g.pthread_size - kHeaderEnd);
  if (!g.allocate_tls_init(tp, true)) return false;
  if (keep_libc) memcpy(tp - g.libc_block, saved, g.libc_block_size);
  set_header(tp, tid);
  return true;
}

void thread_area_adopt(char* tp) noexcept {
  // The kernel and glibc's fork have set tid and registered the robust list; a later fork unlinks the list entry.
  thread_area_set_tid(tp, (pid_t)sys::raw(SYS_gettid));
}

void thread_area_enter(void* resolver_state) noexcept {
  uselocale(LC_GLOBAL_LOCALE);  // libc's block of a recycled area has the last thread's
  g.ctype_init();
  if (g.resp) at<res_state>(sys::thread_pointer(), g.resp) = static_cast<res_state>(resolver_state);
  errno = 0;
}

void thread_area_run_tls_destructors() noexcept { g.call_tls_dtors(); }

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

char* thread_area_shadow(char* memory, char* base) noexcept {
  size_t full = whole_extent();
  if (!memory) {
    size_t a = thread_area_alignment(), offset = (full + a - 1) & ~(a - 1);
    auto* low = (char*)aligned_alloc(a, (offset + g.pthread_size + a - 1) & ~(a - 1));
    if (!low) return nullptr;
    memory = low + offset;
  }
  memcpy(memory - full, base - full, full + g.pthread_size);
  at<void*>(memory, kTcb) = memory;
  if (g.rseq_cpu_id) at<int>(memory, g.rseq_cpu_id) = RSEQ_CPU_ID_REGISTRATION_FAILED;
  return memory;
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
  if (swaps) {
    RuntimeSection section;
    LockGuard guard(sync_lock);
    set_extent();
  }
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
  if (!swaps) return;
  RuntimeSection section;
  LockGuard guard(sync_lock);
  set_extent();
}

uint32_t static_tls_loads() noexcept { return loads.load(std::memory_order_relaxed); }

void static_tls_touch() noexcept {
  struct Index {
    size_t module, offset;
  };
  VThread* v = current();
  v->loads_seen = static_tls_loads();
  char* base = sys::thread_pointer();
  if (base == v->area) return;  // off its slot
  char*& self = at<char*>(base, kSelf);
  for (link_map* map = g.first_map; map; map = map->l_next) {
    Index index{at<size_t>((char*)map, g.map_tls_modid), 0};
    if (!index.module || at<long>((char*)map, g.map_tls_offset) <= 0) continue;
    self = base;
    g.tls_get_addr(&index);
    self = v->tp;
  }
}

bool static_tls_is_behind() noexcept {
  // acquire: pairs with the note after dlopen's return
  return loading.load(std::memory_order_relaxed) ||
         loads.load(std::memory_order_acquire) != synced.load(std::memory_order_relaxed);
}

void static_tls_sync() noexcept {
  RuntimeSection section;
  LockGuard guard(sync_lock);
  uint32_t seen = loads.load(std::memory_order_acquire);
  for (link_map* map = g.first_map; map; map = map->l_next) {
    size_t modid = at<size_t>((char*)map, g.map_tls_modid);
    long offset = at<long>((char*)map, g.map_tls_offset);
    const ElfW(Phdr)* tls;
    if (!modid || modid >= kModules || offset <= 0) continue;
    size_t generation = generation_of(modid);
    if (known[modid] == generation + 1) continue;
    known[modid] = generation + 1;
    if (!tls_segment(map, &tls)) continue;
    Image image{offset, (const void*)(map->l_addr + tls->p_vaddr), tls->p_filesz, tls->p_memsz};
    registry_each_area(put_image, &image);
    if (VThread* m = main_thread(); m && m->area != m->tp) put_image(m, &image);
  }
  synced.store(seen, std::memory_order_relaxed);
  set_extent();
}

}  // namespace vt
