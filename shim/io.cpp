// read, write, send, recv and their kin: parked on a virtual thread, libc's own elsewhere. read(2), recv(2), …
#include <limits.h>

#include "shim/real.h"

using vt::shim::cancellation_point;
using vt::shim::errno_result;

#define VT_PARKED(...)                               \
  do {                                               \
    if (vt::call_can_park()) {                       \
      cancellation_point();                          \
      long r = __VA_ARGS__;                          \
      if (r != vt::kGoNative) return errno_result(r); \
    }                                                \
  } while (0)

VT_EXPORT ssize_t read(int fd, void* buffer, size_t size) {
  VT_PARKED(vt::io_read(fd, buffer, size));
  return VT_REAL(read)(fd, buffer, size);
}
// eventfd(3): libc's own call its read and write by themselves.
VT_EXPORT int eventfd_read(int fd, eventfd_t* value) { return read(fd, value, sizeof *value) == sizeof *value ? 0 : -1; }
VT_EXPORT ssize_t __read(int fd, void* buffer, size_t size) { return read(fd, buffer, size); }
VT_EXPORT ssize_t __read_chk(int fd, void* buffer, size_t size, size_t room) {
  if (size > room) return VT_REAL(__read_chk)(fd, buffer, size, room);
  return read(fd, buffer, size);
}
VT_EXPORT ssize_t readv(int fd, const iovec* vector, int count) {
  VT_PARKED(vt::io_readv(fd, vector, count));
  return VT_REAL(readv)(fd, vector, count);
}
VT_EXPORT ssize_t pread64(int fd, void* buffer, size_t size, off64_t offset) {
  VT_PARKED(vt::io_pread(fd, buffer, size, offset));
  return VT_REAL(pread64)(fd, buffer, size, offset);
}
VT_EXPORT ssize_t __pread64(int fd, void* buffer, size_t size, off64_t offset) { return pread64(fd, buffer, size, offset); }
VT_EXPORT ssize_t pread(int fd, void* buffer, size_t size, off_t offset) { return pread64(fd, buffer, size, offset); }
VT_EXPORT ssize_t __pread64_chk(int fd, void* buffer, size_t size, off64_t offset, size_t room) {
  if (size > room) return VT_REAL(__pread64_chk)(fd, buffer, size, offset, room);
  return pread64(fd, buffer, size, offset);
}
VT_EXPORT ssize_t __pread_chk(int fd, void* buffer, size_t size, off_t offset, size_t room) {
  return __pread64_chk(fd, buffer, size, offset, room);
}
VT_EXPORT ssize_t preadv64(int fd, const iovec* vector, int count, off64_t offset) {
  if (offset >= 0) VT_PARKED(vt::io_preadv(fd, vector, count, offset, 0));
  return VT_REAL(preadv64)(fd, vector, count, offset);
}
VT_EXPORT ssize_t preadv(int fd, const iovec* vector, int count, off_t offset) { return preadv64(fd, vector, count, offset); }
VT_EXPORT ssize_t preadv64v2(int fd, const iovec* vector, int count, off64_t offset, int flags) {
  if (offset >= -1) VT_PARKED(vt::io_preadv(fd, vector, count, offset, flags));
  return VT_REAL(preadv64v2)(fd, vector, count, offset, flags);
}
VT_EXPORT ssize_t preadv2(int fd, const iovec* vector, int count, off_t offset, int flags) {
  return preadv64v2(fd, vector, count, offset, flags);
}

VT_EXPORT ssize_t write(int fd, const void* buffer, size_t size) {
  VT_PARKED(vt::io_write(fd, buffer, size));
  return VT_REAL(write)(fd, buffer, size);
}
VT_EXPORT int eventfd_write(int fd, eventfd_t value) { return write(fd, &value, sizeof value) == sizeof value ? 0 : -1; }
VT_EXPORT ssize_t __write(int fd, const void* buffer, size_t size) { return write(fd, buffer, size); }
VT_EXPORT ssize_t writev(int fd, const iovec* vector, int count) {
  VT_PARKED(vt::io_writev(fd, vector, count));
  return VT_REAL(writev)(fd, vector, count);
}
VT_EXPORT ssize_t pwrite64(int fd, const void* buffer, size_t size, off64_t offset) {
  VT_PARKED(vt::io_pwrite(fd, buffer, size, offset));
  return VT_REAL(pwrite64)(fd, buffer, size, offset);
}
VT_EXPORT ssize_t __pwrite64(int fd, const void* buffer, size_t size, off64_t offset) { return pwrite64(fd, buffer, size, offset); }
VT_EXPORT ssize_t pwrite(int fd, const void* buffer, size_t size, off_t offset) { return pwrite64(fd, buffer, size, offset); }
VT_EXPORT ssize_t pwritev64(int fd, const iovec* vector, int count, off64_t offset) {
  if (offset >= 0) VT_PARKED(vt::io_pwritev(fd, vector, count, offset, 0));
  return VT_REAL(pwritev64)(fd, vector, count, offset);
}
VT_EXPORT ssize_t pwritev(int fd, const iovec* vector, int count, off_t offset) { return pwritev64(fd, vector, count, offset); }
VT_EXPORT ssize_t pwritev64v2(int fd, const iovec* vector, int count, off64_t offset, int flags) {
  if (offset >= -1) VT_PARKED(vt::io_pwritev(fd, vector, count, offset, flags));
  return VT_REAL(pwritev64v2)(fd, vector, count, offset, flags);
}
VT_EXPORT ssize_t pwritev2(int fd, const iovec* vector, int count, off_t offset, int flags) {
  return pwritev64v2(fd, vector, count, offset, flags);
}

VT_EXPORT int fsync(int fd) {
  VT_PARKED(vt::io_fsync(fd, false));
  return VT_REAL(fsync)(fd);
}
VT_EXPORT int fdatasync(int fd) {
  VT_PARKED(vt::io_fsync(fd, true));
  return VT_REAL(fdatasync)(fd);
}
VT_EXPORT ssize_t sendfile64(int out, int in, off64_t* offset, size_t count) {
  VT_PARKED(vt::io_sendfile(out, in, offset, count));
  return VT_REAL(sendfile64)(out, in, offset, count);
}
VT_EXPORT ssize_t sendfile(int out, int in, off_t* offset, size_t count) { return sendfile64(out, in, offset, count); }

// ---------------------------------------------------------------- sockets

VT_EXPORT ssize_t recv(int fd, void* buffer, size_t size, int flags) {
  VT_PARKED(vt::io_recv(fd, buffer, size, flags));
  return VT_REAL(recv)(fd, buffer, size, flags);
}
VT_EXPORT ssize_t __recv_chk(int fd, void* buffer, size_t size, size_t room, int flags) {
  if (size > room) return VT_REAL(__recv_chk)(fd, buffer, size, room, flags);
  return recv(fd, buffer, size, flags);
}
VT_EXPORT ssize_t recvfrom(int fd, void* buffer, size_t size, int flags, __SOCKADDR_ARG from, socklen_t* from_size) {
  VT_PARKED(vt::io_recvfrom(fd, buffer, size, flags, from, from_size));
  return VT_REAL(recvfrom)(fd, buffer, size, flags, from, from_size);
}
VT_EXPORT ssize_t __recvfrom_chk(int fd, void* buffer, size_t size, size_t room, int flags, sockaddr* from, socklen_t* from_size) {
  if (size > room) return VT_REAL(__recvfrom_chk)(fd, buffer, size, room, flags, from, from_size);
  return recvfrom(fd, buffer, size, flags, from, from_size);
}
VT_EXPORT ssize_t recvmsg(int fd, msghdr* message, int flags) {
  VT_PARKED(vt::io_recvmsg(fd, message, flags));
  return VT_REAL(recvmsg)(fd, message, flags);
}
VT_EXPORT ssize_t send(int fd, const void* buffer, size_t size, int flags) {
  VT_PARKED(vt::io_send(fd, buffer, size, flags));
  return VT_REAL(send)(fd, buffer, size, flags);
}
VT_EXPORT ssize_t __send(int fd, const void* buffer, size_t size, int flags) { return send(fd, buffer, size, flags); }
VT_EXPORT ssize_t sendto(int fd, const void* buffer, size_t size, int flags, __CONST_SOCKADDR_ARG to, socklen_t to_size) {
  VT_PARKED(vt::io_sendto(fd, buffer, size, flags, to, to_size));
  return VT_REAL(sendto)(fd, buffer, size, flags, to, to_size);
}
VT_EXPORT ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  VT_PARKED(vt::io_sendmsg(fd, message, flags));
  return VT_REAL(sendmsg)(fd, message, flags);
}
VT_EXPORT int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout) {
  VT_PARKED(vt::io_recvmmsg(fd, messages, count, flags, timeout));
  return VT_REAL(recvmmsg)(fd, messages, count, flags, timeout);
}
VT_EXPORT int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  VT_PARKED(vt::io_sendmmsg(fd, messages, count, flags));
  return VT_REAL(sendmmsg)(fd, messages, count, flags);
}
VT_EXPORT int accept(int fd, __SOCKADDR_ARG address, socklen_t* size) {
  VT_PARKED(vt::io_accept(fd, address, size, 0));
  return VT_REAL(accept)(fd, address, size);
}
VT_EXPORT int accept4(int fd, __SOCKADDR_ARG address, socklen_t* size, int flags) {
  VT_PARKED(vt::io_accept(fd, address, size, flags));
  return VT_REAL(accept4)(fd, address, size, flags);
}
VT_EXPORT int connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t size) {
  VT_PARKED(vt::io_connect(fd, address, size));
  return VT_REAL(connect)(fd, address, size);
}
VT_EXPORT int __connect(int fd, const sockaddr* address, socklen_t size) { return connect(fd, address, size); }

VT_EXPORT int setsockopt(int fd, int level, int option, const void* value, socklen_t size) {
  if (level == SOL_SOCKET) vt::io_note_option(option);
  return VT_REAL(setsockopt)(fd, level, option, value, size);
}
namespace {
/// A ring or the like: for the program there is no such descriptor.
bool is_own(int fd) { return vt::io_is_own(fd); }

/// The range without what is our own.
template <class Close>
int close_around(unsigned first, unsigned last, Close&& call) {
  for (int own; first <= last && (own = vt::io_next_own(first)) >= 0 && (unsigned)own <= last; first = (unsigned)own + 1)
    if ((unsigned)own > first && call(first, (unsigned)own - 1) < 0) return -1;
  return first <= last ? call(first, last) : 0;
}
}  // namespace
VT_EXPORT int close(int fd) {
  if (is_own(fd)) return (int)errno_result(-EBADF);
  vt::io_closing(fd);
  if (!vt::io_lingers(fd)) return VT_REAL(close)(fd);
  int r = -1;
  vt::blocking([&] { r = VT_REAL(close)(fd); });
  return r;
}
VT_EXPORT int __close(int fd) { return close(fd); }
VT_EXPORT int dup2(int from, int to) {
  if (is_own(to)) return (int)errno_result(-EBUSY);
  if (from != to) vt::io_closing(to);
  return VT_REAL(dup2)(from, to);
}
VT_EXPORT int __dup2(int from, int to) { return dup2(from, to); }
VT_EXPORT int dup3(int from, int to, int flags) {
  if (is_own(to)) return (int)errno_result(-EBUSY);
  if (from != to) vt::io_closing(to);
  return VT_REAL(dup3)(from, to, flags);
}
VT_EXPORT int close_range(unsigned first, unsigned last, int flags) {
  constexpr int kUnshare = 2, kKnown = 6;  // CLOSE_RANGE_UNSHARE, _CLOEXEC
  if (first > last || (flags & ~kKnown)) return VT_REAL(close_range)(first, last, flags);
  if ((flags & kUnshare) && vt::on_vthread() && unshare(CLONE_FILES) < 0) return -1;  // which pins
  constexpr int kCloexec = 4;
  if (!(flags & kCloexec)) vt::io_closing(first, last);
  int r = close_around(first, last, [&](unsigned a, unsigned b) { return VT_REAL(close_range)(a, b, flags); });
  vt::io_note_nonblocking();
  vt::io_note_blocking();
  return r;
}
VT_EXPORT void closefrom(int first) {
  unsigned from = first < 0 ? 0 : (unsigned)first;
  vt::io_closing(from, UINT_MAX);
  close_around(from, UINT_MAX, [&](unsigned a, unsigned b) -> int {
    if (b == UINT_MAX) VT_REAL(closefrom)((int)a);
    else if (VT_REAL(close_range)(a, b, 0) < 0)  // before linux 5.9
      for (unsigned fd = a; fd <= b; ++fd) VT_REAL(close)((int)fd);
    return 0;
  });
  vt::io_note_nonblocking();
  vt::io_note_blocking();
}
// glibc closes these streams' descriptors without coming by close.
namespace {
void forget(FILE* stream) {
  int e = errno, fd = fileno_unlocked(stream);  // EBADF: a stream in memory
  errno = e;
  vt::io_closing(fd);
}
}  // namespace
VT_EXPORT int fclose(FILE* stream) {
  forget(stream);
  return VT_REAL(fclose)(stream);
}
VT_EXPORT int pclose(FILE* stream) {
  forget(stream);
  int r = -1, e = errno;
  vt::blocking([&] {
    r = VT_REAL(pclose)(stream);
    e = errno;
  });
  errno = e;
  return r;
}
VT_EXPORT FILE* freopen64(const char* file, const char* mode, FILE* stream) {
  forget(stream);
  return VT_REAL(freopen64)(file, mode, stream);
}
VT_EXPORT FILE* freopen(const char* file, const char* mode, FILE* stream) { return freopen64(file, mode, stream); }

// The argument of these two is an int, a pointer or nothing; all travel in one register.
VT_EXPORT int fcntl64(int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  void* argument = va_arg(list, void*);
  va_end(list);
  int r = -1;
  if ((command == F_SETLKW || command == F_OFD_SETLKW) && vt::can_park()) {
    return (int)vt::shim::announced_if_busy<vt::shim::k_fcntl64>(
        EAGAIN, [&] { return VT_REAL(fcntl64)(fd, command == F_SETLKW ? F_SETLK : F_OFD_SETLK, argument); }, SYS_fcntl, fd, command, argument);
  }
  r = VT_REAL(fcntl64)(fd, command, argument);
  if (command == F_SETFL) (long)argument & O_NONBLOCK ? vt::io_note_nonblocking() : vt::io_note_blocking();
  return r;
}
VT_EXPORT int fcntl(int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  void* argument = va_arg(list, void*);
  va_end(list);
  return fcntl64(fd, command, argument);
}
VT_EXPORT int __fcntl(int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  void* argument = va_arg(list, void*);
  va_end(list);
  return fcntl64(fd, command, argument);
}
// Requests that wait: for what was written to a terminal to go out, for a break's end, for a modem's lines.
namespace {
bool waits(unsigned long request) {
  return request == TCSBRK || request == TCSBRKP || request == TCSETSW || request == TCSETSF || request == TCSETAW || request == TCSETAF ||
         request == TIOCMIWAIT;
}
}  // namespace
VT_EXPORT int ioctl(int fd, unsigned long request, ...) {
  va_list list;
  va_start(list, request);
  void* argument = va_arg(list, void*);
  va_end(list);
  if (waits(request)) {
    int r = -1;
    vt::blocking([&] { r = VT_REAL(ioctl)(fd, request, argument); });
    return r;
  }
  int r = VT_REAL(ioctl)(fd, request, argument);
  if (request == FIONBIO) {
    vt::io_note_nonblocking();
    vt::io_note_blocking();
  }
  return r;
}

// ---------------------------------------------------------------- file locks: tried, then announced as blocking

VT_EXPORT int flock(int fd, int operation) {
  if ((operation & LOCK_NB) || !vt::can_park()) return VT_REAL(flock)(fd, operation);
  return (int)vt::shim::announced_if_busy<vt::shim::k_flock>(EWOULDBLOCK, [&] { return VT_REAL(flock)(fd, operation | LOCK_NB); }, SYS_flock, fd, operation);
}
VT_EXPORT int lockf64(int fd, int command, off64_t size) {
  if (command != F_LOCK || !vt::can_park()) return VT_REAL(lockf64)(fd, command, size);
  flock64 range{.l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_start = 0, .l_len = size, .l_pid = 0};
  return fcntl64(fd, F_SETLKW, &range);
}
VT_EXPORT int lockf(int fd, int command, off_t size) { return lockf64(fd, command, size); }
