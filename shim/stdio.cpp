// stdio meets the kernel in two functions of libc's, _IO_file_read and _IO_file_write, which it calls through its streams' tables. In the
// tables ours take their places, so that fgets, printf, fflush and all the others park, the stream's lock held. The tables lie in libc's
// RELRO: they are written once, with the first thread. A libc where they aren't found keeps its own, and the monitor ejects who waits.
#include "shim/stdio_waits.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>

#include "shim/real.h"

namespace vt::shim {
namespace {

using Read = ssize_t(FILE*, void*, ssize_t);
using Write = ssize_t(FILE*, const void*, ssize_t);
Read* libc_read;
Write* libc_write;

constexpr int kNotACancelPoint = 2;  // in _flags2: fopen's mode "c"
constexpr int kErrorSeen = 0x20;     // in _flags: ferror's

bool parks(const FILE* stream) { return can_park() && !(stream->_flags2 & kNotACancelPoint); }

ssize_t stream_read(FILE* stream, void* buffer, ssize_t size) {
  if (!parks(stream)) return libc_read(stream, buffer, size);
  return read(stream->_fileno, buffer, (size_t)size);
}

/// All of it, as libc's own: what went out counts in the stream's offset, an error in its flags.
ssize_t stream_write(FILE* stream, const void* data, ssize_t size) {
  if (!parks(stream)) return libc_write(stream, data, size);
  ssize_t done = 0;
  while (done < size) {
    ssize_t r = write(stream->_fileno, (const char*)data + done, (size_t)(size - done));
    if (r < 0) {
      stream->_flags |= kErrorSeen;
      break;
    }
    done += r;
  }
  if (stream->_offset >= 0) stream->_offset += done;
  return done;
}

/// libc's RELRO, as whole pages.
struct Area {
  uintptr_t inside, begin = 0, end = 0;
};
int find_area(dl_phdr_info* object, size_t, void* argument) {
  auto* area = static_cast<Area*>(argument);
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = object->dlpi_phdr[i];
    uintptr_t begin = object->dlpi_addr + part.p_vaddr, end = begin + part.p_memsz;
    if (part.p_type != PT_GNU_RELRO || area->inside < begin || area->inside >= end) continue;
    area->begin = begin & ~4095ul;
    area->end = end & ~4095ul;
    return 1;
  }
  return 0;
}

void put(uintptr_t* place, const void* function) { __atomic_store_n(place, (uintptr_t)function, __ATOMIC_RELAXED); }

}  // namespace

void stdio_take_over() noexcept {
  int saved = errno;
  libc_read = (Read*)dlsym(RTLD_NEXT, "_IO_file_read");
  libc_write = (Write*)dlsym(RTLD_NEXT, "_IO_file_write");
  Area area{(uintptr_t)dlsym(RTLD_NEXT, "_IO_file_jumps")};
  bool found = libc_read && libc_write && area.inside && dl_iterate_phdr(find_area, &area) == 1;
  if (found && mprotect((void*)area.begin, area.end - area.begin, PROT_READ | PROT_WRITE) == 0) {
    for (auto* p = (uintptr_t*)area.begin; (uintptr_t)p < area.end; ++p) {
      if (*p == (uintptr_t)libc_read) put(p, (void*)stream_read);
      if (*p == (uintptr_t)libc_write) put(p, (void*)stream_write);
    }
    mprotect((void*)area.begin, area.end - area.begin, PROT_READ);
  }
  errno = saved;
}

}  // namespace vt::shim
