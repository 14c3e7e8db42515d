// Opening, and calls on files, pipes and terminals that wait in ways of their own: announced. open(2), fifo(7), splice(2), tee(2),
// vmsplice(2), copy_file_range(2), sync(2), msync(2), sync_file_range(2), tcdrain(3), tcsetattr(3).
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <termios.h>

#include "shim/real.h"

using vt::shim::cancellation_point;
using vt::shim::errno_result;

namespace {

bool has_mode(int flags) { return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE; }

int open_at(int folder, const char* path, int flags, mode_t mode) {
  if (!vt::can_park()) return VT_REAL(openat64)(folder, path, flags, mode);
  cancellation_point();
  return (int)errno_result(vt::io_open(folder, path, flags, mode));
}

}  // namespace

#define VT_OPEN(folder)                                  \
  va_list list;                                          \
  va_start(list, flags);                                 \
  mode_t mode = has_mode(flags) ? va_arg(list, mode_t) : 0; \
  va_end(list);                                          \
  return open_at(folder, path, flags, mode)

VT_EXPORT int open(const char* path, int flags, ...) { VT_OPEN(AT_FDCWD); }
VT_EXPORT int open64(const char* path, int flags, ...) { VT_OPEN(AT_FDCWD); }
VT_EXPORT int __open(const char* path, int flags, ...) { VT_OPEN(AT_FDCWD); }
VT_EXPORT int __open64(const char* path, int flags, ...) { VT_OPEN(AT_FDCWD); }
VT_EXPORT int openat(int folder, const char* path, int flags, ...) { VT_OPEN(folder); }
VT_EXPORT int openat64(int folder, const char* path, int flags, ...) { VT_OPEN(folder); }
VT_EXPORT int creat(const char* path, mode_t mode) { return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
VT_EXPORT int creat64(const char* path, mode_t mode) { return creat(path, mode); }
// FORTIFY's: with flags that need a mode glibc's end the process.
VT_EXPORT int __open_2(const char* path, int flags) {
  return has_mode(flags) ? VT_REAL(__open_2)(path, flags) : open_at(AT_FDCWD, path, flags, 0);
}
VT_EXPORT int __open64_2(const char* path, int flags) { return __open_2(path, flags); }
VT_EXPORT int __openat_2(int folder, const char* path, int flags) {
  return has_mode(flags) ? VT_REAL(__openat_2)(folder, path, flags) : open_at(folder, path, flags, 0);
}
VT_EXPORT int __openat64_2(int folder, const char* path, int flags) { return __openat_2(folder, path, flags); }

// Who makes a FIFO will open it.
VT_EXPORT int mkfifoat(int folder, const char* path, mode_t mode) {
  vt::io_note_fifo();
  return VT_REAL(mkfifoat)(folder, path, mode);
}
VT_EXPORT int mkfifo(const char* path, mode_t mode) { return mkfifoat(AT_FDCWD, path, mode); }
VT_EXPORT int mknodat(int folder, const char* path, mode_t mode, dev_t device) {
  if (S_ISFIFO(mode)) vt::io_note_fifo();
  return VT_REAL(mknodat)(folder, path, mode, device);
}
VT_EXPORT int mknod(const char* path, mode_t mode, dev_t device) { return mknodat(AT_FDCWD, path, mode, device); }

// ---------------------------------------------------------------- from descriptor to descriptor

VT_EXPORT ssize_t splice(int in, off64_t* in_offset, int out, off64_t* out_offset, size_t size, unsigned flags) {
  VT_BLOCKING_CALL(splice, in, in_offset, out, out_offset, size, flags);
}
VT_EXPORT ssize_t tee(int in, int out, size_t size, unsigned flags) { VT_BLOCKING_CALL(tee, in, out, size, flags); }
VT_EXPORT ssize_t vmsplice(int fd, const iovec* vector, size_t count, unsigned flags) { VT_BLOCKING_CALL(vmsplice, fd, vector, count, flags); }
VT_EXPORT ssize_t copy_file_range(int in, off64_t* in_offset, int out, off64_t* out_offset, size_t size, unsigned flags) {
  VT_BLOCKING_CALL(copy_file_range, in, in_offset, out, out_offset, size, flags);
}

// ---------------------------------------------------------------- to the disk

VT_EXPORT void sync() {
  vt::blocking([] { VT_REAL(sync)(); });
}
VT_EXPORT int syncfs(int fd) { VT_BLOCKING_CALL(syncfs, fd); }
VT_EXPORT int msync(void* address, size_t size, int flags) {
  if (!(flags & MS_SYNC)) return VT_REAL(msync)(address, size, flags);
  VT_BLOCKING_CALL(msync, address, size, flags);
}
VT_EXPORT int sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags) {
  if (!(flags & (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER))) return VT_REAL(sync_file_range)(fd, offset, size, flags);
  VT_BLOCKING_CALL(sync_file_range, fd, offset, size, flags);
}

// ---------------------------------------------------------------- terminals: until what was written has gone out

VT_EXPORT int tcdrain(int fd) {
  if (!vt::can_park()) return VT_REAL(tcdrain)(fd);
  return (int)vt::shim::announced_system_call<vt::shim::k_tcdrain>(SYS_ioctl, fd, TCSBRK, 1);
}
VT_EXPORT int tcsendbreak(int fd, int duration) { VT_BLOCKING(tcsendbreak, fd, duration); }
VT_EXPORT int tcsetattr(int fd, int when, const termios* settings) {
  if (when == TCSANOW) return VT_REAL(tcsetattr)(fd, when, settings);
  VT_BLOCKING(tcsetattr, fd, when, settings);
}
