// write, send and their kin: tried first, or with the carrier's next batch; then they wait for readiness and write from the caller's own context, so that
// SIGPIPE is raised where it belongs. Layer: io.
#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "core/costs.h"
#include "io/descriptors.h"
#include "io/operations.h"
#include "io/submission.h"
#include "sys/clock.h"

namespace vt {

using sys::kForever;
using sys::raw;

namespace {

bool socket_has(int fd, int option, int value) noexcept {
  int has = -1;
  socklen_t size = sizeof has;
  return raw(SYS_getsockopt, fd, SOL_SOCKET, option, &has, &size) == 0 && has == value;
}

/// The loop of every write: `attempt(done, may_wait)` writes from byte `done` on. @parks
template <class Attempt>
ssize_t write_all(int fd, size_t size, Attempt&& attempt) noexcept {
  // Poll isn't told when a full UNIX socket is shut down for writing by its own process: such a one is looked at now and then.
  constexpr uint64_t kFirstLook = sys::kSecond / 16, kLastLook = 2 * sys::kSecond;
  // An unconnected datagram socket is always writable for poll, also while the receiver's queue is full: not asked for ever.
  constexpr int kLies = 3;
  if (config.chaos) chaos_yield();
  ssize_t r = attempt(0, false);
  if (r < 0 ? r != -EAGAIN : (size_t)r >= size) return r;
  size_t done = r < 0 ? 0 : (size_t)r;
  if (is_nonblocking(fd)) return r;
  uint64_t deadline = socket_deadline(fd, SO_SNDTIMEO), look = kFirstLook;
  for (int lies = 0;;) {
    uint64_t until = look ? std::min(deadline, sys::add(sys::now(), look)) : deadline;
    int w = wait_ready(fd, POLLOUT, until, ParkReason::kWrite);
    if (w == -EAGAIN && until != deadline)
      look = socket_has(fd, SO_DOMAIN, AF_UNIX) ? std::min(2 * look, kLastLook) : 0;
    else if (w < 0)
      return done ? (ssize_t)done : w;
    else if (done && (w & POLLERR) && is_socket(fd))
      return (ssize_t)done;  // the next call is to tell the error
    r = attempt(done, false);
    if (r == -EAGAIN) {
      if (w < 0 || ++lies != kLies || !socket_has(fd, SO_TYPE, SOCK_DGRAM)) continue;
      r = call_announced([&] { return attempt(done, true); });
    }
    if (r < 0) return done ? (ssize_t)done : r;
    done += (size_t)r;
    if (done >= size) return (ssize_t)done;
  }
}

constexpr size_t kPage = 4096;  // a pipe that polls as writable takes as much

/// Others run on this carrier now, each for a moment, whose operations go to the kernel together with this one; and a system call costs
/// more than a turn through the queue. In chaos mode always. @thread any in user context
bool joins_batch(int fd, int flags) noexcept {
  constexpr uint32_t kCompany = 2;  // one connection, or two that take turns, would only wait longer
  if (by_readiness || (flags & ~(MSG_NOSIGNAL | MSG_MORE)) || !(config.chaos || batch_pays())) return false;
  Carrier* c = carrier_here();
  return ((c->queue.size() >= kCompany && c->reactor.quick() && !c->is_blocking) || config.chaos) && !is_nonblocking(fd);
}

/// A try to send that isn't made at once, but with the carrier's next batch: `prepare(sqe, flags)`. kUndecided: it's to be made again. @parks
template <class Prepare>
ssize_t send_in_batch(int flags, Prepare&& prepare) noexcept {
  int r = submit_one(ParkReason::kWrite, kForever, [&](io_uring_sqe* sqe) { prepare(sqe, flags | MSG_DONTWAIT | MSG_NOSIGNAL); }, Batch::kInTime);
  switch (r) {
    case -EINTR:       // not a reason to fail for what doesn't wait
    case kGoNative:
    case -EPIPE:       // and SIGPIPE for the caller
    case -EPERM:       // perhaps the batch, by a filter that has come meanwhile
    case -EACCES:
    case -ENOSYS:
    case -EINVAL:      // What is wrong with several arguments is found in another order.
    case -EFAULT:
    case -EBADF:
    case -ENOTSOCK:
    case -EOPNOTSUPP:
    case -EMSGSIZE:
    case -ENOTCONN:
    case -EDESTADDRREQ: return kUndecided;
  }
  return r;
}

/// The rest of a write whose first try, one that doesn't wait, came to `first`.
ssize_t go_on(int fd, const iovec* vector, int count, off_t offset, int flags, ssize_t first) noexcept {
  if (flags & RWF_NOWAIT) return first;
  if (first == -EOPNOTSUPP && !may_be_file(fd) && !is_nonblocking(fd)) {
    // Eventfds can't be asked, nor can a pipe that was spliced to, or any before Linux 6.4. Where there is room now, little doesn't wait
    // (unless another writer is quicker: then the monitor sees it).
    if (total(vector, count) <= kPage && is_ready(fd, POLLOUT)) return raw(SYS_pwritev2, fd, vector, count, offset, 0, flags);
    return call_blocking(SYS_pwritev2, fd, vector, count, offset, 0, flags);
  }
  if (first == -EOPNOTSUPP || first == -EINVAL || (first >= 0 && count <= 0))
    return raw(SYS_pwritev2, fd, vector, count, offset, 0, flags);  // files and devices: what blocks long, the monitor sees
  if (first < 0 && first != -EAGAIN) return first;
  size_t size = total(vector, count);
  if (first >= 0 && (size_t)first >= size) return first;
  Rest rest;
  if (may_be_file(fd)) {  // the rest of a file's write, as a blocking write has it
    size_t done = first < 0 ? 0 : (size_t)first;
    if (!rest.from(vector, count, done)) return first;
    ssize_t r = raw(SYS_pwritev2, fd, rest.vector, rest.count, offset == -1 ? -1 : offset + (off_t)done, 0, flags);
    return r < 0 ? (done ? (ssize_t)done : r) : (ssize_t)done + r;
  }
  bool again = false, plain = false;  // the first attempt is made already
  return write_all(fd, size, [&](size_t done, bool may_wait) -> ssize_t {
    if (!again) return again = true, first;
    if (!rest.from(vector, count, done)) return -ENOMEM;
    if (done && !plain) {  // a socket that breaks after a part raises no SIGPIPE
      msghdr message{};
      message.msg_iov = rest.vector;
      message.msg_iovlen = (size_t)rest.count;
      ssize_t r = raw(SYS_sendmsg, fd, &message, MSG_NOSIGNAL | (may_wait ? 0 : MSG_DONTWAIT));
      if (r != -ENOTSOCK) return r;
      plain = true;
    }
    return raw(SYS_pwritev2, fd, rest.vector, rest.count, offset, 0, may_wait ? flags : flags | RWF_NOWAIT);
  });
}

}  // namespace

ssize_t io_pwritev(int fd, const iovec* vector, int count, off_t offset, int flags) noexcept {
  return go_on(fd, vector, count, offset, flags, raw(SYS_pwritev2, fd, vector, count, offset, 0, flags | RWF_NOWAIT));
}
ssize_t io_write(int fd, const void* buffer, size_t size) noexcept {
  if ((ssize_t)size < 0) return raw(SYS_write, fd, buffer, size);
  if (!size) {  // pwritev2 of nothing asks nobody; on a datagram socket it is a datagram
    ssize_t r = io_send(fd, buffer, 0, 0);
    return r == -ENOTSOCK || r == -EFAULT ? raw(SYS_write, fd, buffer, size) : r;
  }
  if (seems_nonblocking(fd)) return raw(SYS_write, fd, buffer, size);
  if (seems_stream_socket(fd) && joins_batch(fd, 0))
    if (ssize_t r = io_send(fd, buffer, size, 0); r != -ENOTSOCK) return r;
  iovec one{const_cast<void*>(buffer), size};
  ssize_t first = raw(SYS_pwritev2, fd, &one, 1, -1, 0, RWF_NOWAIT);
  return (size_t)first == size ? first : go_on(fd, &one, 1, -1, 0, first);
}
ssize_t io_writev(int fd, const iovec* vector, int count) noexcept {
  if (seems_nonblocking(fd)) return raw(SYS_writev, fd, vector, count);
  if (count > 0 && count <= IOV_MAX && seems_stream_socket(fd) && joins_batch(fd, 0) && !in_slot(vector, count)) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(vector);
    message.msg_iovlen = (size_t)count;
    ssize_t r = send_in_batch(0, [&](io_uring_sqe* sqe, int flags) { io_uring_prep_sendmsg(sqe, fd, &message, (unsigned)flags); });
    if (r != kUndecided) return go_on(fd, vector, count, -1, 0, r);
  }
  return io_pwritev(fd, vector, count, -1, 0);
}
ssize_t io_pwrite(int fd, const void* buffer, size_t size, off_t offset) noexcept {
  if (offset < 0 || (ssize_t)size < 0) return raw(SYS_pwrite64, fd, buffer, size, offset);
  iovec one{const_cast<void*>(buffer), size};
  return io_pwritev(fd, &one, 1, offset, 0);
}

ssize_t io_sendto(int fd, const void* buffer, size_t size, int flags, const sockaddr* to, socklen_t to_size) noexcept {
  if (flags & MSG_DONTWAIT) return raw(SYS_sendto, fd, buffer, size, flags, to, to_size);
  // It connects first: asked not to wait it only begins to.
  if (flags & MSG_FASTOPEN) return call_announced([&] { return raw(SYS_sendto, fd, buffer, size, flags, to, to_size); });
  size = std::min(size, kMost);
  bool batched = !to && joins_batch(fd, flags) && !in_slot(buffer);
  return write_all(fd, size, [&](size_t done, bool may_wait) -> ssize_t {
    if (batched) {
      batched = false;
      ssize_t r = send_in_batch(flags, [&](io_uring_sqe* sqe, int f) { io_uring_prep_send(sqe, fd, buffer, size, f); });
      if (r != kUndecided) return r;
    }
    int f = flags | (may_wait ? 0 : MSG_DONTWAIT) | (done ? MSG_NOSIGNAL : 0);  // what breaks after a part raises no SIGPIPE
    return raw(SYS_sendto, fd, (const char*)buffer + done, size - done, f, to, to_size);
  });
}
ssize_t io_send(int fd, const void* buffer, size_t size, int flags) noexcept {
  return io_sendto(fd, buffer, size, flags, nullptr, 0);
}
ssize_t io_sendmsg(int fd, const msghdr* message, int flags) noexcept {
  if ((flags & MSG_FASTOPEN) && !(flags & MSG_DONTWAIT)) return call_announced([&] { return raw(SYS_sendmsg, fd, message, flags); });
  ssize_t first = raw(SYS_sendmsg, fd, message, flags | MSG_DONTWAIT);
  if ((flags & MSG_DONTWAIT) || (first < 0 && first != -EAGAIN)) return first;
  int count = (int)message->msg_iovlen;
  bool again = false;
  Rest rest;
  return write_all(fd, total(message->msg_iov, count), [&](size_t done, bool may_wait) -> ssize_t {
    if (!again) return again = true, first;
    msghdr part = *message;
    if (done) {
      if (!rest.from(message->msg_iov, count, done)) return -ENOMEM;
      part.msg_iov = rest.vector;
      part.msg_iovlen = (size_t)rest.count;
      part.msg_control = nullptr;  // went with the first bytes
      part.msg_controllen = 0;
    }
    return raw(SYS_sendmsg, fd, &part, flags | (may_wait ? 0 : MSG_DONTWAIT) | (done ? MSG_NOSIGNAL : 0));
  });
}

}  // namespace vt
