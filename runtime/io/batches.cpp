// recvmmsg(2) and sendmmsg(2): what can be done at once is one call; then the wait. Layer: io.
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

#include "api.h"
#include "base/config.h"
#include "core/main_thread.h"
#include "core/scheduler.h"
#include "io/descriptors.h"
#include "io/operations.h"

namespace vt {
namespace {

using sys::raw;

constexpr unsigned kMost = 1024;  // the kernel sends no more at a time

size_t size_of(const msghdr& message) noexcept {
  size_t sum = 0;
  for (size_t i = 0; i < message.msg_iovlen; ++i) sum += message.msg_iov[i].iov_len;
  return sum;
}

/// The rest of a stream's message of which a part has gone out. False: it went no further.
bool send_rest(int fd, mmsghdr& message, int flags) noexcept {
  size_t skip = message.msg_len;
  for (size_t i = 0; i < message.msg_hdr.msg_iovlen; ++i) {
    auto [base, size] = message.msg_hdr.msg_iov[i];
    if (skip >= size) {
      skip -= size;
      continue;
    }
    const char* from = (const char*)base + skip;
    size -= skip, skip = 0;
    ssize_t r = io_send(fd, from, size, flags | MSG_NOSIGNAL);
    if (r == kGoNative) r = raw(SYS_sendto, fd, from, size, flags | MSG_NOSIGNAL, nullptr, 0);
    if (r > 0) message.msg_len += (unsigned)r;
    if (r < (ssize_t)size) return false;
  }
  return true;
}

}  // namespace

int io_recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout) noexcept {
  if (timeout || (flags & MSG_WAITALL) || has_low_water(fd))  // the kernel looks at the time after each message
    return (int)call_blocking(SYS_recvmmsg, fd, messages, count, flags, timeout);
  if (config.chaos) chaos_yield();
  constexpr int kAtOnce = MSG_DONTWAIT | MSG_ERRQUEUE;
  for (unsigned done = 0;;) {
    long r = raw(SYS_recvmmsg, fd, messages + done, count - done, flags | MSG_DONTWAIT, nullptr);
    if (r < 0 && r != -EAGAIN) return done ? (int)done : (int)r;
    if (r > 0) done += (unsigned)r;
    bool urgent = r > 0 && (messages[done - 1].msg_hdr.msg_flags & MSG_OOB);
    if (r == 0 || urgent || done >= count || (done && (flags & MSG_WAITFORONE))) return (int)done;
    if ((flags & kAtOnce) || is_nonblocking(fd)) return done ? (int)done : -EAGAIN;
    if (!done) {  // the wait for a message holds the file, whatever becomes of the number meanwhile
      ssize_t one = io_recvmsg(fd, &messages[0].msg_hdr, flags);
      if (one < 0) return (int)one;
      messages[done++].msg_len = (unsigned)one;
      if (count == 1 || (messages[0].msg_hdr.msg_flags & MSG_OOB)) return 1;
      continue;
    }
    int w = wait_ready(fd, POLLIN, socket_deadline(fd, SO_RCVTIMEO), ParkReason::kRecv);
    if (w == kGoNative) {  // main goes on alone: the rest is the kernel's
      r = raw(SYS_recvmmsg, fd, messages + done, count - done, flags, nullptr);
      return (int)done + (r > 0 ? (int)r : 0);
    }
    if (w < 0 || (w & POLLERR)) return (int)done;  // the next call is to tell the error
  }
}

int io_sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) noexcept {
  if (config.chaos) chaos_yield();
  count = std::min(count, kMost);
  for (unsigned done = 0;;) {
    long r = raw(SYS_sendmmsg, fd, messages + done, count - done, flags | MSG_DONTWAIT);
    if (r < 0 && r != -EAGAIN) return done ? (int)done : (int)r;
    if (r > 0) done += (unsigned)r;
    bool part = r > 0 && messages[done - 1].msg_len < size_of(messages[done - 1].msg_hdr);
    if (done >= count && !part) return (int)done;
    if ((flags & MSG_DONTWAIT) || is_nonblocking(fd)) return done ? (int)done : (int)r;
    if ((part && !send_rest(fd, messages[done - 1], flags)) || done >= count) return (int)done;
    ssize_t one = io_sendmsg(fd, &messages[done].msg_hdr, flags);
    if (one == kGoNative && done) one = raw(SYS_sendmsg, fd, &messages[done].msg_hdr, flags);
    if (one < 0) return done ? (int)done : (int)one;
    messages[done++].msg_len = (unsigned)one;
    if (done >= count) return (int)done;
  }
}

}  // namespace vt
