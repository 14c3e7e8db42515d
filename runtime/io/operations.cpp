// The blocking calls on descriptors: tried first where a call can be asked not to block, else submitted to the ring of the
// carrier. Never changes a descriptor; one that the program made O_NONBLOCK never reaches the ring. Layer: io.
//
// Writes wait for readiness and then write from the caller's own context, so that SIGPIPE is raised where it belongs.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "api.h"
#include "base/config.h"
#include "core/costs.h"
#include "core/io_wait.h"
#include "core/main_thread.h"
#include "core/scheduler.h"
#include "core/slot.h"
#include "io/descriptors.h"
#include "io/operations.h"
#include "sys/clock.h"
#include "sys/memory.h"

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

namespace vt {
namespace {

using sys::kForever;
using sys::raw;
using vt::in_slot;

/// Memory on a slot (core/slot.h) is somebody else's while the submission is under way: it goes to where its owner's contents are kept.
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

enum class Batch {
  kNext,    // the carrier's next one, when its queue is through
  kInTime,  // the same, but not when that has waited for long
  kOwn,     // what can be done at once is done at once, at the price of a submission of its own, and the caller goes on without a turn
};

/// One submission and its result. -EAGAIN for a deadline that passed. `fill(sqe)`. @parks
template <class Fill>
int submit_one(ParkReason reason, uint64_t deadline, Fill&& fill, Batch batch = Batch::kNext) noexcept {
  if (config.chaos) chaos_yield();
  main_call_begins(current());
  for (;;) {
    RuntimeSection section;
    VThread* v = current();
    if (v->carrier->is_blocking) {
      from_blocking_thread();
      continue;
    }
    IoEntry entry;
    IoWait wait(v, &entry, 1);
    io_uring_sqe* sqe = wait.submit(0);
    if (!sqe) {
      yield_now();
      continue;
    }
    fill(sqe);
    bool in_tls = swaps && redirect(sqe);
    wait.track(sqe, 0);
    if (batch == Batch::kOwn) v->carrier->reactor.poll(v->carrier);
    else if (batch == Batch::kInTime) v->carrier->reactor.submit_in_time();
    if (entry.pending) wait.finish(reason, deadline);
    else park(reason);  // done already: takes the notification that came with it
    if (__builtin_expect(in_tls, 0)) slot_return();
    if (entry.result == -ECANCELED || entry.result == -EINTR) {
      if (wait.timed_out) return -EAGAIN;
      if (wait.interrupted) return -EINTR;
      if (wait.go_native) return kGoNative;
      continue;  // the kernel gave up for reasons of its own: nothing was done
    }
    return entry.result;
  }
}

}  // namespace

bool copy_in(void* to, const void* from, size_t size) noexcept {
  auto* begin = (const char*)from;
  if (begin > (char*)__builtin_frame_address(0) && begin < current()->stack_top && size <= (size_t)(current()->stack_top - begin)) {
    memcpy(to, from, size);
    return true;
  }
  iovec mine{to, size}, theirs{const_cast<void*>(from), size};
  return raw(SYS_process_vm_readv, raw(SYS_getpid), &mine, 1, &theirs, 1, 0) == (long)size;
}

int wait_ready(int fd, short events, uint64_t deadline, ParkReason reason) noexcept {
  return submit_one(reason, deadline, [&](io_uring_sqe* sqe) { io_uring_prep_poll_add(sqe, fd, (unsigned)events); });
}

namespace {

constexpr long kUndecided = -4095;

/// A try that may not block. kUndecided: it would have, or can't be asked.
template <class Call>
ssize_t attempt(int fd, Call&& call) noexcept {
  if (!worth_a_try(fd)) return kUndecided;
  ssize_t r = call();
  bool hit = r != -EAGAIN && r != -EOPNOTSUPP && r != -EINTR;
  note_try(fd, hit);
  return hit ? r : kUndecided;
}

/// Where the ring can't have the memory: `call`, which doesn't wait, when something is there. @parks
template <class Call>
ssize_t when_ready(int fd, Call&& call) noexcept {
  uint64_t deadline = socket_deadline(fd, SO_RCVTIMEO);
  for (;;) {
    if (int r = wait_ready(fd, POLLIN, deadline, ParkReason::kRead); r < 0) return r;
    if (ssize_t r = call(); r != -EAGAIN) return r;
  }
}

/// Copies the vector from its byte `done` on. Null: no memory.
struct Rest {
  iovec few[16];
  iovec* vector = few;
  int count = 0;
  ~Rest() {
    if (vector != few) free(vector);
  }
  bool from(const iovec* v, int n, size_t done) noexcept {
    if (n > 16 && vector == few && !(vector = (iovec*)malloc(sizeof(iovec) * (size_t)n))) return vector = few, false;
    count = 0;
    for (int i = 0; i < n; ++i) {
      if (done >= v[i].iov_len) {
        done -= v[i].iov_len;
        continue;
      }
      vector[count++] = {(char*)v[i].iov_base + done, v[i].iov_len - done};
      done = 0;
    }
    return true;
  }
};

/// The kernel does no more than that in one call.
constexpr size_t kMost = 0x7ffff000;

size_t total(const iovec* v, int n) noexcept {
  size_t sum = 0;
  for (int i = 0; i < n; ++i)
    if (__builtin_add_overflow(sum, v[i].iov_len, &sum)) return kMost;
  return std::min(sum, kMost);
}

}  // namespace

// ---------------------------------------------------------------- reading

namespace {

/// Without waiting; a file that can't be asked so (procfs, sysfs) is read as the caller would: the ring has a thread of the kernel's do it.
ssize_t read_at_once(int fd, const iovec* vector, int count, off_t offset, int flags) noexcept {
  ssize_t r = raw(SYS_preadv2, fd, vector, count, offset, 0, flags | RWF_NOWAIT);
  if (r == -EOPNOTSUPP && !(flags & RWF_NOWAIT) && may_be_file(fd)) r = raw(SYS_preadv2, fd, vector, count, offset, 0, flags);
  return r;
}

/// A file's read ended early for want of a page in memory, or at the end of file: the rest, as a blocking read has it. @parks
ssize_t read_rest(int fd, const iovec* vector, int count, off_t offset, int flags, size_t done) noexcept {
  Rest rest;
  for (size_t size = total(vector, count); done < size;) {
    if (!rest.from(vector, count, done)) break;
    off_t at = offset == -1 ? -1 : offset + (off_t)done;
    ssize_t r = raw(SYS_preadv2, fd, rest.vector, rest.count, at, 0, flags | RWF_NOWAIT);
    if (r == -EAGAIN)
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
  if ((flags & RWF_NOWAIT) || is_nonblocking(fd)) return raw(SYS_preadv2, fd, vector, count, offset, 0, flags);
  if (in_slot(vector, count)) return when_ready(fd, call);
  if (flags) {  // the ring's answers to them differ
    blocking([&] { r = raw(SYS_preadv2, fd, vector, count, offset, 0, flags); });
    return r;
  }
  return submit_one(ParkReason::kRead, offset == -1 ? socket_deadline(fd, SO_RCVTIMEO) : kForever, [&](io_uring_sqe* sqe) {
    io_uring_prep_readv(sqe, fd, vector, (unsigned)count, (uint64_t)offset);
    sqe->rw_flags = flags;
  });
}

ssize_t io_read(int fd, void* buffer, size_t size) noexcept {
  // None waits, and as vectors the kernel has other answers for them.
  if ((ssize_t)size <= 0) return raw(SYS_read, fd, buffer, size);
  if (has_low_water(fd)) return io_recv(fd, buffer, size, 0);
  iovec one{buffer, size};
  ssize_t r = attempt(fd, [&] { return read_at_once(fd, &one, 1, -1, 0); });
  if (r > 0 && (size_t)r < size && may_be_file(fd)) return read_rest(fd, &one, 1, -1, 0, (size_t)r);
  if (r != kUndecided) return r;
  if (is_nonblocking(fd)) return raw(SYS_read, fd, buffer, size);
  size = std::min(size, kMost);
  return submit_one(ParkReason::kRead, socket_deadline(fd, SO_RCVTIMEO),
                    [&](io_uring_sqe* sqe) { io_uring_prep_read(sqe, fd, buffer, (unsigned)size, (uint64_t)-1); });
}
ssize_t io_readv(int fd, const iovec* vector, int count) noexcept { return io_preadv(fd, vector, count, -1, 0); }
ssize_t io_pread(int fd, void* buffer, size_t size, off_t offset) noexcept {
  if (offset < 0 || (ssize_t)size <= 0) return raw(SYS_pread64, fd, buffer, size, offset);
  iovec one{buffer, size};
  return io_preadv(fd, &one, 1, offset, 0);
}

namespace {

bool is_socket(int fd) noexcept {
  struct stat s;
  return raw(SYS_fstat, fd, &s) == 0 && S_ISSOCK(s.st_mode);
}

/// The frame of recv, recvfrom and recvmsg. `call(flags)` is the kernel's own, `fill` prepares the submission. @parks
template <class Call, class Fill>
ssize_t receive(int fd, int flags, Call&& call, Fill&& fill, bool nested_in_slot = false) noexcept {
  if (!(flags & (MSG_DONTWAIT | MSG_ERRQUEUE)) && has_low_water(fd) && !is_nonblocking(fd)) return call_blocking([&] { return call(flags); });
  if (!(flags & MSG_WAITALL)) {
    ssize_t r = attempt(fd, [&] { return call(flags | MSG_DONTWAIT); });
    if (r != kUndecided) return r;
  }
  if ((flags & (MSG_DONTWAIT | MSG_ERRQUEUE)) || is_nonblocking(fd)) return call(flags);
  // The ring, going on after a part, peeks at the same bytes again; and loses the part over flags that mean nothing here.
  constexpr unsigned kMeant = MSG_OOB | MSG_PEEK | MSG_TRUNC | MSG_WAITALL | MSG_NOSIGNAL | MSG_CMSG_CLOEXEC;
  if (((flags & MSG_WAITALL) && (flags & MSG_PEEK)) || ((unsigned)flags & ~kMeant)) return call_blocking([&] { return call(flags); });
  if (__builtin_expect(nested_in_slot, 0)) return when_ready(fd, [&] { return call(flags | MSG_DONTWAIT); });
  int r = submit_one(ParkReason::kRecv, socket_deadline(fd, SO_RCVTIMEO), fill);
  // What is wrong with several arguments is found in another order.
  if (r == -EINVAL || r == -EMSGSIZE || r == -ENOTSOCK)
    if (ssize_t same = call(flags | MSG_DONTWAIT); same != -EAGAIN) return same;
  return r;
}

}  // namespace

ssize_t io_recv(int fd, void* buffer, size_t size, int flags) noexcept {
  size = std::min(size, kMost);
  return receive(fd, flags, [&](int f) { return raw(SYS_recvfrom, fd, buffer, size, f, nullptr, nullptr); },
                 [&](io_uring_sqe* sqe) { io_uring_prep_recv(sqe, fd, buffer, size, flags); });
}

ssize_t io_recvmsg(int fd, msghdr* message, int flags) noexcept {
  constexpr unsigned kCompat = 1u << 31;
  if (((unsigned)flags & kCompat) || !sys::readable(message, sizeof *message)) return raw(SYS_recvmsg, fd, message, flags);  // for its errors
  ssize_t r = receive(fd, flags, [&](int f) { return raw(SYS_recvmsg, fd, message, f); },
                      [&](io_uring_sqe* sqe) { io_uring_prep_recvmsg(sqe, fd, message, (unsigned)flags); }, in_slot(message));
  return r == -EFAULT && !is_socket(fd) ? raw(SYS_recvmsg, fd, message, flags) : r;  // the ring looks at the message first
}

ssize_t io_recvfrom(int fd, void* buffer, size_t size, int flags, sockaddr* from, socklen_t* from_size) noexcept {
  if (!from) return io_recv(fd, buffer, size, flags);
  size = std::min(size, kMost);
  iovec one{buffer, size};
  msghdr message{};
  bool submitted = false, sized = from_size && sys::readable(from_size, sizeof *from_size);
  ssize_t r = receive(fd, flags, [&](int f) { return raw(SYS_recvfrom, fd, buffer, size, f, from, from_size); },
                      [&](io_uring_sqe* sqe) {
                        message.msg_name = from;
                        message.msg_namelen = sized ? std::min(*from_size, (socklen_t)sizeof(sockaddr_storage)) : 0;
                        message.msg_iov = &one;
                        message.msg_iovlen = 1;
                        io_uring_prep_recvmsg(sqe, fd, &message, (unsigned)flags);
                        submitted = true;
                      }, in_slot(buffer) || in_slot(from));
  if (!submitted || r < 0) return r;
  if (!sized || !sys::writable(from_size, sizeof *from_size)) return -EFAULT;
  if ((int)*from_size < 0) return -EINVAL;
  *from_size = message.msg_namelen;
  return r;
}

// ---------------------------------------------------------------- writing

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

}  // namespace

namespace {

constexpr size_t kPage = 4096;  // a pipe that polls as writable takes as much

bool has_room(int fd) noexcept {
  pollfd p{fd, POLLOUT, 0};
  return raw(SYS_poll, &p, 1, 0) == 1;
}

}  // namespace

ssize_t io_pwritev(int fd, const iovec* vector, int count, off_t offset, int flags) noexcept {
  ssize_t first = raw(SYS_pwritev2, fd, vector, count, offset, 0, flags | RWF_NOWAIT);
  if (flags & RWF_NOWAIT) return first;
  if (first == -EOPNOTSUPP && !may_be_file(fd) && !is_nonblocking(fd)) {
    // Eventfds can't be asked, nor can a pipe that was spliced to, or any before Linux 6.4. Where there is room now, little doesn't wait
    // (unless another writer is quicker: then the monitor sees it).
    auto call = [&] { return raw(SYS_pwritev2, fd, vector, count, offset, 0, flags); };
    return total(vector, count) <= kPage && has_room(fd) ? call() : call_blocking(call);
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
ssize_t io_write(int fd, const void* buffer, size_t size) noexcept {
  if ((ssize_t)size < 0) return raw(SYS_write, fd, buffer, size);
  if (!size) {  // pwritev2 of nothing asks nobody; on a datagram socket it is a datagram
    ssize_t r = io_send(fd, buffer, 0, 0);
    return r == -ENOTSOCK || r == -EFAULT ? raw(SYS_write, fd, buffer, size) : r;
  }
  iovec one{const_cast<void*>(buffer), size};
  return io_pwritev(fd, &one, 1, -1, 0);
}
ssize_t io_writev(int fd, const iovec* vector, int count) noexcept { return io_pwritev(fd, vector, count, -1, 0); }
ssize_t io_pwrite(int fd, const void* buffer, size_t size, off_t offset) noexcept {
  if (offset < 0 || (ssize_t)size < 0) return raw(SYS_pwrite64, fd, buffer, size, offset);
  iovec one{const_cast<void*>(buffer), size};
  return io_pwritev(fd, &one, 1, offset, 0);
}

namespace {

/// Others run on this carrier now, each for a moment, whose operations go to the kernel together with this one; and a system call costs
/// more than a turn through the queue. In chaos mode always. @thread any in user context
bool joins_batch(int fd, int flags) noexcept {
  constexpr uint32_t kCompany = 2;  // one connection, or two that take turns, would only wait longer
  if ((flags & ~(MSG_NOSIGNAL | MSG_MORE)) || !(config.chaos || batch_pays())) return false;
  Carrier* c = carrier_here();
  return ((c->queue.size() >= kCompany && c->reactor.quick() && !c->is_blocking) || config.chaos) && !is_nonblocking(fd);
}

/// A try to send that isn't made at once, but with the carrier's next batch. kUndecided: it's to be made again. @parks
ssize_t send_in_batch(int fd, const void* buffer, size_t size, int flags) noexcept {
  int r = submit_one(ParkReason::kWrite, kForever, [&](io_uring_sqe* sqe) {
    io_uring_prep_send(sqe, fd, buffer, size, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
  }, Batch::kInTime);
  switch (r) {
    case -EINTR:       // not a reason to fail for what doesn't wait
    case kGoNative:
    case -EPIPE:       // and SIGPIPE for the caller
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

}  // namespace

ssize_t io_sendto(int fd, const void* buffer, size_t size, int flags, const sockaddr* to, socklen_t to_size) noexcept {
  if (flags & MSG_DONTWAIT) return raw(SYS_sendto, fd, buffer, size, flags, to, to_size);
  // It connects first: asked not to wait it only begins to.
  if (flags & MSG_FASTOPEN) return call_announced([&] { return raw(SYS_sendto, fd, buffer, size, flags, to, to_size); });
  size = std::min(size, kMost);
  bool batched = !to && joins_batch(fd, flags) && !in_slot(buffer);
  return write_all(fd, size, [&](size_t done, bool may_wait) -> ssize_t {
    if (batched) {
      batched = false;
      if (ssize_t r = send_in_batch(fd, buffer, size, flags); r != kUndecided) return r;
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

// ---------------------------------------------------------------- connections, files

int io_accept(int fd, sockaddr* address, socklen_t* size, int flags) noexcept {
  // Listening sockets are shared with forked workers: always asked.
  if ((flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) || ask_nonblocking(fd)) return (int)raw(SYS_accept4, fd, address, size, flags);
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
  return (pid_t)call_blocking([&] { return raw(SYS_wait4, pid, status, options, usage); });
}

int io_waitid(idtype_t type, id_t id, siginfo_t* info, int options, rusage* usage) noexcept {
  if (info && !sys::writable(info, sizeof *info)) return (int)call_blocking([&] { return raw(SYS_waitid, type, id, info, options, usage); });
  siginfo_t mine{};
  long r = raw(SYS_waitid, type, id, &mine, options | WNOHANG, usage);
  if (r == 0 && mine.si_pid == 0 && !(options & WNOHANG)) r = call_blocking([&] { return raw(SYS_waitid, type, id, &mine, options, usage); });
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
