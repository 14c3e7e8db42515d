// glibc's layout of a thread area, as thread_area_probe() found it. For core/thread_area.cpp and core/static_tls.cpp. Layer: core.
#pragma once

#include <link.h>
#include <stddef.h>
#include <stdint.h>

#include "sys/fs_base.h"

namespace vt {

// x86-64 TLS ABI (tcbhead_t), as compiled into every program.
constexpr long kTcb = 0, kDtv = 8, kSelf = sys::kSelfOffset, kMultipleThreads = 24, kStackGuard = 40, kPointerGuard = 48, kHeaderEnd = 56;

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
  long rseq_cpu_id;  // 0: this glibc has none
  bool rseq_registered;
  long map_tls_offset, map_tls_modid;
  char** slots;     // ld.so's list of tables of modules with TLS, by modid
  size_t slot_size;
  char* user_stacks;  // glibc's list of the threads on stacks of the program's, and the lock of such lists; null: not found
  uint32_t* stacks_lock;
  long slots_length, slots_next, slots_first, slot_generation, slot_map;
  long resp;        // the resolver's pointer to its state, __resp: in libc's block; 0: not found
  link_map* first_map;
  long libc_block;  // libc's own TLS block is at tp - libc_block
  size_t libc_block_size;
};
extern Glibc g;

/// Static TLS that there can be.
inline size_t whole_extent() noexcept { return (g.static_size - g.pthread_size) & ~(size_t)63; }

template <class T>
inline T& at(char* base, long offset) noexcept {
  return *reinterpret_cast<T*>(base + offset);
}

/// PT_TLS of the object that a link map describes; null if it has none.
const ElfW(Phdr)* tls_segment(const link_map* map) noexcept;

}  // namespace vt
