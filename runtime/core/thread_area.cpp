#include "core/thread_area.h"

#include <dlfcn.h>
#include <errno.h>
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
#include "core/glibc_layout.h"
#include "core/self.h"
#include "core/tsd.h"
#include "core/vthread.h"
#include "sys/fs_base.h"

namespace vt {

Glibc g;

const ElfW(Phdr)* tls_segment(const link_map* map) noexcept {
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
  return search.tls;
}

namespace {

/// thread_db's descriptor of a field: its size in bits (of an element), how many, its offset.
struct FieldDescriptor {
  uint32_t bits, count, offset;
};

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

bool find_slots(const char** missing) noexcept {
  char* rtld;
  const uint32_t* size;
  long list;
  if (!find(rtld, "_rtld_global", missing) || !field(list, "_thread_db_rtld_global__dl_tls_dtv_slotinfo_list", missing, 64) ||
      !find(size, "_thread_db_sizeof_dtv_slotinfo", missing) || !field(g.slots_length, "_thread_db_dtv_slotinfo_list_len", missing, 64) ||
      !field(g.slots_next, "_thread_db_dtv_slotinfo_list_next", missing, 64) ||
      !field(g.slots_first, "_thread_db_dtv_slotinfo_list_slotinfo", missing) || !field(g.slot_generation, "_thread_db_dtv_slotinfo_gen", missing, 64) ||
      !field(g.slot_map, "_thread_db_dtv_slotinfo_map", missing, 64))
    return false;
  g.slots = &at<char*>(rtld, list);
  g.slot_size = *size;
  return true;
}

/// Only for the glibcs that were looked at (2.36, 2.41, 2.43, and their source between): thread_db says where the lists are, but not the lock behind them.
void find_stacks() noexcept {
  const char* missing;
  char* rtld;
  long used, user;
  const char* version = gnu_get_libc_version();
  // Two digits, by hand: under ASan this runs within ASan's own start, when it refuses atoi.
  auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : -100; };
  int minor = version[0] == '2' && version[1] == '.' ? 10 * digit(version[2]) + digit(version[3]) : 0;
  if (minor < 34 || minor > 43 || !find(rtld, "_rtld_global", &missing) ||
      !field(used, "_thread_db_rtld_global__dl_stack_used", &missing) || !field(user, "_thread_db_rtld_global__dl_stack_user", &missing))
    return;
  char* cache = rtld + user + 16;  // then a size, an address, the lock
  auto* lock = &at<uint32_t>(cache, 32);
  if (user != used + 16 || at<char*>(at<char*>(cache, 0), 8) != cache || *lock != 0) return;
  g.user_stacks = rtld + user;
  g.stacks_lock = lock;
}

bool find_libc_block(const char** missing) noexcept {
  Dl_info info;
  link_map* map = nullptr;
  if (!dladdr1((void*)g.ctype_init, &info, (void**)&map, RTLD_DL_LINKMAP) || !map) return *missing = "libc's link map", false;
  const ElfW(Phdr)* tls = tls_segment(map);
  if (!tls) return *missing = "libc's TLS segment", false;
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
  // In struct pthread; since glibc 2.41 behind the libraries' blocks in static TLS.
  if (rseq_offset && *rseq_offset && *rseq_offset < (long)g.pthread_size && -*rseq_offset <= (long)g.static_size)
    g.rseq_cpu_id = *rseq_offset + (long)offsetof(struct rseq, cpu_id);
  auto* rseq_size = static_cast<const unsigned*>(dlsym(RTLD_DEFAULT, "__rseq_size"));
  g.rseq_registered = g.rseq_cpu_id && rseq_size && *rseq_size;
  return find_libc_block(missing);
}

long thread_area_rseq() noexcept {
  return g.rseq_registered ? g.rseq_cpu_id - (long)offsetof(struct rseq, cpu_id) : 0;
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

constexpr int kCanceling = 4, kCanceled = 8, kExiting = 16;  // nptl/descr.h, and every debugger
void thread_area_set_cancelled(char* tp) noexcept {
  __atomic_or_fetch(&at<int>(tp, g.cancelhandling), kCanceling | kCanceled, __ATOMIC_SEQ_CST);
}
bool thread_area_is_exiting(const char* tp) noexcept {
  return __atomic_load_n(&at<int>(const_cast<char*>(tp), g.cancelhandling), __ATOMIC_RELAXED) & kExiting;
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

}  // namespace vt
