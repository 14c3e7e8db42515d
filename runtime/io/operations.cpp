// The blocking calls on descriptors: tried first where a call can be asked not to block, else submitted to the ring of the
// carrier. Never changes a descriptor; one that the program made O_NONBLOCK never reaches the ring. Writes: writing.cpp. Layer: io.
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>

#include "api.h"
#include "base/config.h"
#include "core/cancel.h"
#include "core/io_wait.h"
#include "core/main_thread.h"
#include "core/scheduler.h"
#include "core/slot.h"
#include "io/descriptors.h"
#include "io/operations.h"
#include "io/submission.h"
#include "sys/clock.h"
#include "sys/memory.h"
#include "sys/stoppable.h"

namespace vt {

using sys::kForever;
using sys::raw;

bool redirect(io_uring_sqe* sqe) noexcept {
  bool any = false;
  for (__u64* address : {&sqe->addr, &sqe->addr2}) {
    if (address == &sqe->addr2 && sqe->opcode != IORING_OP_ACCEPT) break;  // elsewhere a number
    if (!in_slot((const void*)*address)) continue;
    *address = (uint64_t)slot_leave((const void*)*address);
    any = true;
  }
  return any;
}
bool in_slot(const iovec* vector, int count) noexcept {
  if (__builtin_expect(!swaps, 1) || count <= 0 || !sys::readable(vector, (size_t)count * sizeof *vector)) return false;
  bool any = in_slot(vector);
  for (int i = 0; i < count; ++i) any |= in_slot(vector[i].iov_base);
  return any;
}
bool in_slot(const msghdr* m) noexcept {
  return swaps && (in_slot((const void*)m) || in_slot(m->msg_name) || in_slot(m->msg_control) || in_slot(m->msg_iov, (int)m->msg_iovlen));
}

bool is_socket(int fd) noexcept {
  struct stat s;
  return raw(SYS_fstat, fd, &s) == 0 && S_ISSOCK(s.st_mode);
}

bool copy_in(void* to, const void* from, size_t size) noexcept {
  auto* begin = (const char*)from;
  if (begin > (char*)__builtin_frame_address(0) && begin < current()->stack_top && size <= (size_t)(current()->stack_top - begin)) {
    memcpy(to, from, size);
    return true;
  }
  iovec mine{to, size}, theirs{const_cast<void*>(from), size};
  return raw(SYS_process_vm_readv, raw(SYS_getpid), &mine, 1, &theirs, 1, 0) == (long)size;
}

int poll_in_person(pollfd* fds, unsigned count, uint64_t deadline) noexcept {
  timespec left, *limit = nullptr;
  if (deadline != kForever) {
    left = sys::time_until(deadline);
    limit = &left;
  }
  return (int)call_blocking(SYS_ppoll, fds, count, limit, nullptr, 8);
}

int wait_ready(int fd, short events, uint64_t deadline, ParkReason reason) noexcept {
  int r = submit_one(reason, deadline, [&](io_uring_sqe* sqe) { io_uring_prep_poll_add(sqe, fd, (unsigned)events); });
  if (__builtin_expect(r != kInPerson, 1)) return r;
  pollfd p{fd, events, 0};
  r = poll_in_person(&p, 1, deadline);
  return r == 0 ? -EAGAIN : r < 0 ? r : (unsigned short)p.revents;
}

bool is_ready(int fd, short events) noexcept {
  pollfd p{fd, events, 0};
  return raw(SYS_poll, &p, 1, 0) == 1;
}

namespace {

/// A try that may not block, or kUndecided.
template <class Call>
ssize_t attempt(int fd, Call&& call) noexcept {
  if (!worth_a_try(fd)) return kUndecided;
  ssize_t r = call();
  bool hit = r != -EAGAIN && r != -EOPNOTSUPP && r != -EINTR;
  note_try(fd, hit);
  return hit ? r : kUndecided;
}

/// Where the ring can't have the memory, or isn't to read: `call`, which doesn't wait, when something is there. @parks
template <class Call>
ssize_t when_ready(int fd, Call&& call) noexcept {
  uint64_t deadline = socket_deadline(fd, SO_RCVTIMEO);
  for (;;) {
    if (int r = wait_ready(fd, POLLIN, deadline, ParkReason::kRead); r < 0) return r;
    if (ssize_t r = call(); r != -EAGAIN) return r;
  }
}

}  // namespace

// ---------------------------------------------------------------- reading

namespace {

/// Without waiting; a file that can't be asked so (procfs, sysfs) is read as the caller would: the ring has a thread of the kernel's do it.
ssize_t read_at_once(int fd, const iovec* vector, int count, off_t offset, int flags) noexcept {
  ssize_t r = raw(SYS_preadv2, fd, vector, count, offset, 0, flags | RWF_NOWAIT);
  if (r != -EOPNOTSUPP || (flags & RWF_NOWAIT)) return r;
  if (may_be_file(fd)) return raw(SYS_preadv2, fd, vector, count, offset, 0, flags);
  if (!flags) note_speechless(fd);  // else they may be what it doesn't know
  return r;
}

/// A terminal in whose mode a read ends otherwise than when poll says that there is something.
bool reads_by_count(int fd) noexcept {
  termios t;
  return raw(SYS_ioctl, fd, TCGETS, &t) == 0 && !(t.c_lflag & ICANON) && t.c_cc[VMIN] != 1;
}

/// What the ring isn't to read, or kUndecided. What can't be asked not to wait it has a thread of the kernel's read (before Linux 6.12), who holds the file for a
/// moment longer than the caller: a pipe closed after that isn't broken yet. And of a signalfd each thread reads its own signals. HACKING.md, Deviations. @parks
ssize_t read_in_person(int fd, const iovec* vector, int count, off_t offset) noexcept {
  Kind kind = kind_of(fd);
  bool signals = kind == Kind::kSignals, terminal = kind == Kind::kTerminal;
  if (!signals && !terminal && kind != Kind::kSpeechless) return kUndecided;
  if (terminal && reads_by_count(fd)) {
    if (in_slot(vector, count) || is_ready(fd, POLLIN)) return raw(SYS_preadv2, fd, vector, count, offset, 0, 0);
    return call_blocking(SYS_preadv2, fd, vector, count, offset, 0, 0);
  }
  auto call = [&]() -> ssize_t {
    if (signals)
      if (ssize_t r = raw(SYS_preadv2, fd, vector, count, offset, 0, RWF_NOWAIT); r != -EOPNOTSUPP) return r;
    bool too_little = signals && total(vector, count) < sizeof(signalfd_siginfo);
    if (!too_little && !is_ready(fd, POLLIN)) return -EAGAIN;
    // If another reader is quicker this waits: the monitor sees it and moves the caller to an OS thread of its own.
    return sys::stoppable(cancel_flag(current()), SYS_preadv2, fd, vector, count, offset, 0, 0);
  };
  ssize_t r = call();
  return r == -EAGAIN ? when_ready(fd, call) : r;
}

/// What the reactor can neither watch nor ask not to wait: files that aren't in memory, and what is found to be speechless only now. @parks
ssize_t read_unasked(int fd, const iovec* vector, int count, off_t offset) noexcept {
  if (!may_be_file(fd) && offset == -1) {
    note_speechless(fd);
    if (ssize_t r = read_in_person(fd, vector, count, offset); r != kUndecided) return r;
  }
  return call_blocking(SYS_preadv2, fd, vector, count, offset, 0, 0);
}

/// A file's read ended early for want of a page in memory, or at the end of file: the rest, as a blocking read has it. @parks
ssize_t read_rest(int fd, const iovec* vector, int count, off_t offset, int flags, size_t done) noexcept {
  Rest rest;
  for (size_t size = total(vector, count); done < size;) {
    if (!rest.from(vector, count, done)) break;
    off_t at = offset == -1 ? -1 : offset + (off_t)done;
    ssize_t r = raw(SYS_preadv2, fd, rest.vector, rest.count, at, 0, flags | RWF_NOWAIT);
    if (r == -EAGAIN && by_readiness)
      r = call_blocking(SYS_preadv2, fd, rest.vector, rest.count, at, 0, flags);
    else if (r == -EAGAIN)
      r = submit_one(ParkReason::kFile, kForever, [&](io_uring_sqe* sqe) {
        io_uring_prep_readv(sqe, fd, rest.vector, (unsigned)rest.count, (uint64_t)at);
        sqe->rw_flags = flags;
      });
    if (r <= 0) break;
    done += (size_t)r;
  }
  return (ssize_t)done;
}

}  // namespace

ssize_t io_preadv(int fd, const iovec* vector, int count, off_t offset, int flags) noexcept {
  if (offset == -1 && !flags && count >= 0 && has_low_water(fd)) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(vector);
    message.msg_iovlen = (size_t)count;
    return io_recvmsg(fd, &message, 0);
  }
  auto call = [&] { return read_at_once(fd, vector, count, offset, flags); };
  // The ring takes an offset on a pipe and waits: with one, the kernel's own call is always asked first.
  ssize_t r = offset == -1 ? attempt(fd, call) : call();
  if (r > 0 && (size_t)r < total(vector, count) && !(flags & RWF_NOWAIT) && may_be_file(fd))
    return read_rest(fd, vector, count, offset, flags, (size_t)r);
  if (r != kUndecided && r != -EAGAIN && r != -EOPNOTSUPP && r != -EINTR) return r;
  // Of nothing: the ring waits nevertheless, on a pipe that knows no RWF_NOWAIT.
  bool nothing = count <= 0 || !sys::readable(vector, (size_t)count * sizeof *vector) || total(vector, count) == 0;
  if (nothing || (flags & RWF_NOWAIT) || is_nonblocking(fd)) return raw(SYS_preadv2, fd, vector, count, offset, 0, flags);
  if (!flags && (r = read_in_person(fd, vector, count, offset)) != kUndecided) return r;
  if (in_slot(vector, count)) return when_ready(fd, call);
  if (flags) {  // the ring's answers to them differ
    blocking([&] { r = raw(SYS_preadv2, fd, vector, count, offset, 0, flags); });
    return r;
  }
  int result = submit_one(ParkReason::kRead, offset == -1 ? socket_deadline(fd, SO_RCVTIMEO) : kForever, [&](io_uring_sqe* sqe) {
    io_uring_prep_readv(sqe, fd, vector, (unsigned)count, (uint64_t)offset);
    sqe->rw_flags = flags;
  });
  return result == kInPerson ? read_unasked(fd, vector, count, offset) : result;
}

ssize_t io_read(int fd, void* buffer, size_t size) noexcept {
  // None waits, and as vectors the kernel has other answers for them.
  if ((ssize_t)size <= 0) return raw(SYS_read, fd, buffer, size);
  if (seems_nonblocking(fd)) return raw(SYS_read, fd, buffer, size);
  if (has_low_water(fd)) return io_recv(fd, buffer, size, 0);
  iovec one{buffer, size};
  ssize_t r = attempt(fd, [&] { return read_at_once(fd, &one, 1, -1, 0); });
  if (r > 0 && (size_t)r < size && may_be_file(fd)) return read_rest(fd, &one, 1, -1, 0, (size_t)r);
  if (r != kUndecided) return r;
  if (is_nonblocking(fd)) return raw(SYS_read, fd, buffer, size);
  if (r = read_in_person(fd, &one, 1, -1); r != kUndecided) return r;
  size = std::min(size, kMost);
  int result = submit_one(ParkReason::kRead, socket_deadline(fd, SO_RCVTIMEO),
                          [&](io_uring_sqe* sqe) { io_uring_prep_read(sqe, fd, buffer, (unsigned)size, (uint64_t)-1); });
  one.iov_len = size;
  return result == kInPerson ? read_unasked(fd, &one, 1, -1) : result;
}
ssize_t io_readv(int fd, const iovec* vector, int count) noexcept {
  return seems_nonblocking(fd) ? raw(SYS_readv, fd, vector, count) : io_preadv(fd, vector, count, -1, 0);
}
ssize_t io_pread(int fd, void* buffer, size_t size, off_t offset) noexcept {
  if (offset < 0 || (ssize_t)size <= 0) return raw(SYS_pread64, fd, buffer, size, offset);
  iovec one{buffer, size};
  return io_preadv(fd, &one, 1, offset, 0);
}

namespace {

/// How the kernel's own call is made.
constexpr auto kPlain = [](long number, auto... arguments) { return raw(number, arguments...); };
constexpr auto kAnnounced = [](long number, auto... arguments) { return call_blocking(number, arguments...); };

/// The frame of recv, recvfrom and recvmsg. `make(flags, how)` is the kernel's own, `fill` prepares the submission. @parks
template <class Call, class Fill>
ssize_t receive(int fd, int flags, Call&& make, Fill&& fill, bool is_message, bool nested_in_slot = false) noexcept {
  auto call = [&](int f) { return make(f, kPlain); };
  if (!(flags & (MSG_DONTWAIT | MSG_ERRQUEUE)) && has_low_water(fd) && !is_nonblocking(fd)) return make(flags, kAnnounced);
  if (!(flags & MSG_WAITALL)) {
    ssize_t r = attempt(fd, [&] { return call(flags | MSG_DONTWAIT); });
    if (r != kUndecided) return r;
  }
  if ((flags & (MSG_DONTWAIT | MSG_ERRQUEUE)) || is_nonblocking(fd)) return call(flags);
  // The ring, going on after a part, peeks at the same bytes again; and loses the part over flags that mean nothing here.
  constexpr unsigned kMeant = MSG_OOB | MSG_PEEK | MSG_TRUNC | MSG_WAITALL | MSG_NOSIGNAL | MSG_CMSG_CLOEXEC;
  if (((flags & MSG_WAITALL) && (flags & MSG_PEEK)) || ((unsigned)flags & ~kMeant)) return make(flags, kAnnounced);
  if (by_readiness && is_message && (flags & MSG_WAITALL)) return make(flags, kAnnounced);  // it would have to be taken apart
  if (__builtin_expect(nested_in_slot, 0)) return when_ready(fd, [&] { return call(flags | MSG_DONTWAIT); });
  int r = submit_one(ParkReason::kRecv, socket_deadline(fd, SO_RCVTIMEO), fill);
  if (r == kInPerson) return make(flags, kAnnounced);
  // What is wrong with several arguments is found in another order.
  if (r == -EINVAL || r == -EMSGSIZE || r == -ENOTSOCK)
    if (ssize_t same = call(flags | MSG_DONTWAIT); same != -EAGAIN) return same;
  return r;
}

}  // namespace

ssize_t io_recv(int fd, void* buffer, size_t size, int flags) noexcept {
  size = std::min(size, kMost);
  return receive(fd, flags, [&](int f, auto how) { return how(SYS_recvfrom, fd, buffer, size, f, nullptr, nullptr); },
                 [&](io_uring_sqe* sqe) { io_uring_prep_recv(sqe, fd, buffer, size, flags); }, false);
}

ssize_t io_recvmsg(int fd, msghdr* message, int flags) noexcept {
  constexpr unsigned kCompat = 1u << 31;
  if (((unsigned)flags & kCompat) || !sys::readable(message, sizeof *message)) return raw(SYS_recvmsg, fd, message, flags);  // for its errors
  ssize_t r = receive(fd, flags, [&](int f, auto how) { return how(SYS_recvmsg, fd, message, f); },
                      [&](io_uring_sqe* sqe) { io_uring_prep_recvmsg(sqe, fd, message, (unsigned)flags); }, true, in_slot(message));
  return r == -EFAULT && !is_socket(fd) ? raw(SYS_recvmsg, fd, message, flags) : r;  // the ring looks at the message first
}

ssize_t io_recvfrom(int fd, void* buffer, size_t size, int flags, sockaddr* from, socklen_t* from_size) noexcept {
  if (!from) return io_recv(fd, buffer, size, flags);
  size = std::min(size, kMost);
  iovec one{buffer, size};
  msghdr message{};
  bool submitted = false, sized = from_size && sys::readable(from_size, sizeof *from_size);
  ssize_t r = receive(fd, flags, [&](int f, auto how) { return how(SYS_recvfrom, fd, buffer, size, f, from, from_size); },
                      [&](io_uring_sqe* sqe) {
                        message.msg_name = from;
                        message.msg_namelen = sized ? std::min(*from_size, (socklen_t)sizeof(sockaddr_storage)) : 0;
                        message.msg_iov = &one;
                        message.msg_iovlen = 1;
                        io_uring_prep_recvmsg(sqe, fd, &message, (unsigned)flags);
                        submitted = true;
                      }, true, in_slot(buffer) || in_slot(from));
  if (!submitted || r < 0) return r;
  if (!sized || !sys::writable(from_size, sizeof *from_size)) return -EFAULT;
  if ((int)*from_size < 0) return -EINVAL;
  *from_size = message.msg_namelen;
  return r;
}

// ---------------------------------------------------------------- connections, files

namespace {
/// Accept can't be asked not to wait: made when a connection is there. If another process is quicker it waits: the monitor sees it. @parks
int accept_when_ready(int fd, sockaddr* address, socklen_t* size, int flags) noexcept {
  int listens = 0;
  socklen_t length = sizeof listens;
  bool waits = !is_ready(fd, POLLIN) && raw(SYS_getsockopt, fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 && listens;
  if (waits) {
    int r = submit_one(ParkReason::kAccept, socket_deadline(fd, SO_RCVTIMEO),
                       [&](io_uring_sqe* sqe) { io_uring_prep_accept(sqe, fd, address, size, flags); });
    if (r != kInPerson) return r;
  }
  return (int)sys::stoppable(cancel_flag(current()), SYS_accept4, fd, address, size, flags);
}
/// Nor can connect. One that needs no answer from elsewhere doesn't wait, mostly. @parks
int connect_in_person(int fd, const sockaddr* address, socklen_t size) noexcept {
  constexpr uint32_t kLoopback = 127;
  bool near = address->sa_family == AF_UNIX ||
              (address->sa_family == AF_INET && size >= sizeof(sockaddr_in) && (((const sockaddr_in*)address)->sin_addr.s_addr & 0xff) == kLoopback);
  if (near && socket_deadline(fd, SO_SNDTIMEO) == kForever) return (int)sys::stoppable(cancel_flag(current()), SYS_connect, fd, address, size);
  return (int)call_blocking(SYS_connect, fd, address, size);
}
}  // namespace

int io_accept(int fd, sockaddr* address, socklen_t* size, int flags) noexcept {
  // Listening sockets are shared with forked workers: always asked.
  if ((flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) || ask_nonblocking(fd)) return (int)raw(SYS_accept4, fd, address, size, flags);
  if (by_readiness) {
    int r = accept_when_ready(fd, address, size, flags);
    if (r >= 0) io_forget(r);
    return r;
  }
  // Eager: one connection a turn would make a thousand newcomers wait for a thousand rounds of the run queue.
  int r = submit_one(ParkReason::kAccept, socket_deadline(fd, SO_RCVTIMEO),
                     [&](io_uring_sqe* sqe) { io_uring_prep_accept(sqe, fd, address, size, flags); }, Batch::kOwn);
  if (r >= 0) io_forget(r);
  return r;
}

int io_connect(int fd, const sockaddr* address, socklen_t size) noexcept {
  // The ring looks at the address before it looks at the descriptor.
  bool malformed = (int)size < 0 || size > sizeof(sockaddr_storage) || !sys::readable(address, size);
  if (malformed || ask_nonblocking(fd)) return (int)raw(SYS_connect, fd, address, size);
  if (by_readiness) return connect_in_person(fd, address, size);
  uint64_t deadline = socket_deadline(fd, SO_SNDTIMEO);
  int r = submit_one(ParkReason::kConnect, deadline,
                     [&](io_uring_sqe* sqe) { io_uring_prep_connect(sqe, fd, address, size); });
  if (r == -EALREADY) {  // one that a limit cut short: waited for again
    int w = wait_ready(fd, POLLOUT, deadline, ParkReason::kConnect);
    return w < 0 ? r : (int)raw(SYS_connect, fd, address, size);
  }
  return r == -EAGAIN && deadline != kForever && address->sa_family != AF_UNIX ? -EINPROGRESS : r;
}

int io_wait_readable(int fd, uint64_t deadline) noexcept { return wait_ready(fd, POLLIN, deadline, ParkReason::kSignal); }

int io_fsync(int fd, bool data_only) noexcept {
  if (by_readiness) return (int)call_blocking(data_only ? SYS_fdatasync : SYS_fsync, fd);
  return submit_one(ParkReason::kFile, kForever, [&](io_uring_sqe* sqe) {
    io_uring_prep_fsync(sqe, fd, data_only ? IORING_FSYNC_DATASYNC : 0);
  });
}

ssize_t io_sendfile(int out, int in, off_t* offset, size_t count) noexcept {
  return call_announced([&] { return raw(SYS_sendfile, out, in, offset, count); });
}

pid_t io_wait4(pid_t pid, int* status, int options, rusage* usage) noexcept {
  long r = raw(SYS_wait4, pid, status, options | WNOHANG, usage);
  if (r != 0 || (options & WNOHANG)) return (pid_t)r;
  if (pid > 0 && !(options & (WUNTRACED | WCONTINUED))) {
    long fd = raw(SYS_pidfd_open, pid, 0);
    if (fd >= 0) {
      while ((r = raw(SYS_wait4, pid, status, options | WNOHANG, usage)) == 0)
        if ((r = wait_ready((int)fd, POLLIN, kForever, ParkReason::kChild)) < 0) break;
      raw(SYS_close, fd);
      if (r > 0 || r == -EINTR || r == -ECHILD) return (pid_t)r;
    }
  }
  return (pid_t)call_blocking(SYS_wait4, pid, status, options, usage);
}

int io_waitid(idtype_t type, id_t id, siginfo_t* info, int options, rusage* usage) noexcept {
  if (info && !sys::writable(info, sizeof *info)) return (int)call_blocking(SYS_waitid, type, id, info, options, usage);
  siginfo_t mine{};
  long r = raw(SYS_waitid, type, id, &mine, options | WNOHANG, usage);
  if (r == 0 && mine.si_pid == 0 && !(options & WNOHANG)) r = call_blocking(SYS_waitid, type, id, &mine, options, usage);
  if (info) {  // these, and also on failure
    info->si_signo = mine.si_signo;
    info->si_errno = mine.si_errno;
    info->si_code = mine.si_code;
    info->si_pid = mine.si_pid;
    info->si_uid = mine.si_uid;
    info->si_status = mine.si_status;
  }
  return (int)r;
}

}  // namespace vt
