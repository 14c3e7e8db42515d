#include "core/slot.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>

#include "api.h"
#include "base/config.h"
#include "base/log.h"
#include "core/carrier.h"
#include "core/libc_calls.h"
#include "core/main_thread.h"
#include "core/scheduler.h"
#include "core/thread_area.h"
#include "sys/fs_base.h"

namespace vt {

bool swaps = false;

// ---------------------------------------------------------------- who can't do with it

namespace {
/// They tell threads apart by the addresses of their thread-local variables, or give these to other threads.
constexpr const char* kPublishes = "libjemalloc*:libmimalloc*:libgomp*:libiomp*:libomp*:liburcu*:libtbb*:libruby*:libstd-*:libjvm*:libcoreclr*:libgo.so*";
constexpr const char* kSymbols[] = {"mallctl", "mi_malloc", "rust_eh_personality", "_PyEval_EnableGILTransient"};

const char* library_that_publishes() noexcept {
  const char* found = nullptr;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        const char* slash = strrchr(info->dlpi_name, '/');
        const char* name = slash ? slash + 1 : info->dlpi_name;
        if (!matches(kPublishes, name)) return 0;
        *static_cast<const char**>(out) = name;
        return 1;
      },
      &found);
  return found;
}
}  // namespace

bool slots_allowed() noexcept {
  if (sys::raw(SYS_access, "/proc/self/stat", R_OK) == -ENOENT) {  // by it the monitor sees who waits in a call that may be left
    complain("VTSHIM_TLS=swap: needs /proc, which isn't mounted here; not used");
    return false;
  }
  const char* found = library_that_publishes();
  for (const char* symbol : kSymbols)
    if (!found && dlsym(RTLD_DEFAULT, symbol)) found = symbol;
  dlerror();
  if (found) complain("VTSHIM_TLS=swap: %s lets thread-local variables be known by their addresses, which threads share there; not used", found);
  return !found;
}

namespace {
struct Code {
  uintptr_t low, high;
  CodeOf of;
};
constexpr int kMostCode = 24;
Code code[kMostCode];
int code_count = 0;

void note_code(uintptr_t low, uintptr_t high, CodeOf of) noexcept {
  if (code_count < kMostCode) code[code_count++] = {low, high, of};
}
/// The executable segments of the library that `address` is in; not the program's own.
void note_library(const void* address, CodeOf of) noexcept {
  struct Wanted {
    uintptr_t address;
    CodeOf of;
  } wanted{(uintptr_t)address, of};
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* p) {
        auto* w = static_cast<Wanted*>(p);
        bool mine = false;
        for (bool noting : {false, true})
          for (const ElfW(Phdr)* h = info->dlpi_phdr; h != info->dlpi_phdr + info->dlpi_phnum; ++h) {
            if (h->p_type != PT_LOAD || !(h->p_flags & PF_X)) continue;
            uintptr_t low = info->dlpi_addr + h->p_vaddr;
            if (!noting) mine |= w->address - low < h->p_memsz;
            else if (mine && info->dlpi_name[0]) note_code(low, low + h->p_memsz, w->of);
          }
        return mine ? 1 : 0;
      },
      &wanted);
}
}  // namespace

void slots_know_libc() noexcept {
  if (!swaps || code_count) return;
  auto address = [](const char* name) { return (uintptr_t)dlsym(RTLD_DEFAULT, name); };
  auto* libc = (void*)libc_calls.sigaction.get();
  Dl_info of_malloc, of_libc;
  if (dladdr((void*)address("malloc"), &of_malloc) && dladdr(libc, &of_libc) && of_malloc.dli_fbase != of_libc.dli_fbase)
    note_library((void*)address("malloc"), CodeOf::kMalloc);
  // In libc they all are of one file, whose own functions come first; then what they call with a lock held.
  constexpr uintptr_t kOwn = 24 << 10, kLast = 512, kCall = 96;
  uintptr_t low = UINTPTR_MAX, high = 0;
  for (const char* name : {"__libc_malloc", "__libc_free", "__libc_calloc", "__libc_realloc", "__libc_memalign", "mallopt", "malloc_trim", "malloc_info"})
    if (uintptr_t p = address(name)) low = p < low ? p : low, high = p > high ? p : high;
  if (high && high - low < 2 * kOwn) note_code(low - kOwn, high + kLast, CodeOf::kMalloc);
  for (const char* name : {"mmap", "munmap", "mprotect", "madvise", "mremap", "brk", "sbrk"})
    if (uintptr_t p = address(name)) note_code(p, p + kCall, CodeOf::kMalloc);
  note_library(libc, CodeOf::kLibc);
  note_library((void*)address("__tls_get_addr"), CodeOf::kLibc);
  dlerror();
}

CodeOf code_of(uintptr_t pc) noexcept {
  for (int i = 0; i < code_count; ++i)
    if (pc - code[i].low < code[i].high - code[i].low) return code[i].of;
  return CodeOf::kOthers;
}

void slots_look_at_libraries() noexcept {
  static bool told = false;
  if (!swaps || told) return;
  const char* found = library_that_publishes();
  if (!found) return;
  told = true;
  complain("VTSHIM_TLS=swap: %s was loaded, which lets thread-local variables be known by their addresses: it may fail", found);
}

// ---------------------------------------------------------------- exchanging
//
// A signal may come at any moment, on the main OS thread, and its handler runs as main, with main's contents. So the moments at which these
// are incomplete where `mounted` says are told to it, by `mounted` itself: while main's are being saved a handler still uses them in the slot,
// and marks that; while they are being brought in it uses where they are kept, and marks that. Then it's done again. One instruction without
// a lock prefix is enough: the handler runs on this OS thread.

namespace {

constexpr uintptr_t kUsed = 1;  // in `mounted`: a handler has used main's contents meanwhile

bool replace(char*& word, char* expected, char* wanted) noexcept {
  bool done;
  asm volatile("cmpxchgq %3, %1" : "=@ccz"(done), "+m"(word), "+a"(expected) : "r"(wanted) : "memory");
  return done;
}

bool is_mains(const Carrier* c, const char* area) noexcept { return c->is_main && area == c->own_area; }

void load(Carrier* c, char* area) noexcept {
  if (__builtin_expect(!is_mains(c, area), 1)) {
    thread_area_load(c->own_tp, area);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    c->mounted = area;
    return;
  }
  do {
    c->mounted = nullptr;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    thread_area_load(c->own_tp, area);
  } while (!replace(c->mounted, nullptr, area));
}

}  // namespace

void slot_save(Carrier* c) noexcept {
  char* area = c->mounted;
  if ((uintptr_t)area <= kUsed) return;
  if (__builtin_expect(!is_mains(c, area), 1)) {
    thread_area_save(c->own_tp, area);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    c->mounted = nullptr;
    return;
  }
  c->exchanges = true;
  do {
    c->mounted = area;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    thread_area_save(c->own_tp, area);
  } while (!replace(c->mounted, area, nullptr));
  c->exchanges = false;
}

void slot_mount(Carrier* c, VThread* v) noexcept {
  char* home = c->is_blocking ? v->area : c->own_tp;
  if (__builtin_expect(v->tls_at != home, 0)) {
    thread_area_rebase(v->area, v->tls_at, home);
    v->tls_at = home;
  }
  if (c->mounted == v->area) return;  // on a blocking thread: still mounted there
  if (c->is_blocking) {
    mount_area(v->area);
    c->mounted = v->area;
    return;
  }
  v->bound = true;
  slot_save(c);
  load(c, v->area);
}

bool slot_reserve(Carrier* c, bool of_main) noexcept {
  static char* main_shadow = nullptr;  // for good, as main's signal stack
  char*& shadow = of_main ? main_shadow : c->shadow;
  if (swaps && !shadow) shadow = thread_area_shadow_memory();
  c->shadow = shadow;
  return !swaps || shadow;
}

void slot_begin(Carrier* c) noexcept {
  bool exchanges = swaps && !c->is_blocking;
  if (exchanges) thread_area_shadow(c->shadow, c->own_tp);
  c->mounted = c->own_area = exchanges ? c->shadow : c->own_tp;
}

void slot_end(Carrier* c) noexcept {
  if (!swaps || c->is_blocking || c->mounted == c->own_area) return;
  load(c, c->own_area);
}

// ---------------------------------------------------------------- main's handlers

char* main_area_now(const MainThread* m) noexcept {
  Carrier* c = carrier_at(0);
  if (!swaps) return m->area;
  return c->mounted == m->area ? c->own_tp : m->area;
}

MainMounted::MainMounted(Carrier* c, MainThread* m) noexcept : c_(c), main_(m) {
  char* fs = sys::thread_pointer();
  if (!swaps) {
    if (fs == m->area) return;
    before_ = fs;
    mount_area(m->area);
    return;
  }
  auto mounted = (uintptr_t)c->mounted;
  if ((mounted & ~kUsed) == (uintptr_t)m->area) {
    if (c->exchanges) c->mounted = (char*)(mounted | kUsed);
    return;
  }
  if (!mounted) c->mounted = (char*)kUsed;  // perhaps they are being brought in
  if (fs == m->area) return;                // in a handler over a handler
  before_ = fs;
  thread_area_rebase(m->area, m->tls_at, m->area);
  mount_area(m->area);
}

MainMounted::~MainMounted() {
  if (!before_) return;
  if (swaps) thread_area_rebase(main_->area, main_->area, main_->tls_at);
  mount_area(before_);
}

// ---------------------------------------------------------------- buffers in thread-local memory

bool in_slot(const void* p) noexcept {
  if (__builtin_expect(!swaps, 1)) return false;
  char* base = sys::thread_pointer();
  size_t below = static_tls_extent.load(std::memory_order_relaxed);
  return (uintptr_t)p - (uintptr_t)(base - below) < below;
}

bool leads_to_slot(const void* captured, size_t size) noexcept {
  constexpr uintptr_t kNear = 64 << 10;
  auto frame = (uintptr_t)__builtin_frame_address(0);
  for (size_t i = 0; i < size / sizeof(uintptr_t); ++i) {
    uintptr_t word = ((const uintptr_t*)captured)[i];
    if (in_slot((const void*)word)) return true;
    if (word - frame < kNear && word % sizeof(uintptr_t) == 0 && in_slot(*(void* const*)word)) return true;
  }
  return false;
}

void* slot_leave(const void* p) noexcept {
  VThread* v = current();
  Carrier* c = v->carrier;
  if (c->is_blocking) return const_cast<void*>(p);
  slot_save(c);
  return v->area + ((const char*)p - c->own_tp);
}

void slot_return() noexcept {
  VThread* v = current();
  Carrier* c = v->carrier;
  if (!c->is_blocking && c->mounted != v->area) load(c, v->area);
}

// ---------------------------------------------------------------- libc's view of OS threads

int numbers_show() noexcept {
  if (!swaps || carrier_count() == 0) return 0;
  VThread* v = current();
  if (!v || carrier_count() > 1) return -EAGAIN;
  {
    RuntimeSection section;
    if (v->carrier->is_blocking) from_blocking_thread();
  }
  RuntimeSection::enter(v);  // till numbers_hide()
  thread_area_set_tid(v->carrier->own_tp, v->carrier->os_tid);
  return 1;
}

void numbers_hide() noexcept {
  VThread* v = current();
  thread_area_set_tid(v->carrier->own_tp, v->is_main ? v->carrier->os_tid : v->id.load(std::memory_order_relaxed));
  RuntimeSection section;
  v->depth = v->depth - 1;
}

}  // namespace vt
