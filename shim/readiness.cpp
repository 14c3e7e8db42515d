// poll, select, epoll_wait and their kin. poll(2), select(2), epoll_wait(2). The signal masks of ppoll, pselect and
// epoll_pwait count on main; asynchronous signals don't reach the other virtual threads (DESIGN.md rule 17).
#include "shim/real.h"
#include "sys/clock.h"
#include "sys/memory.h"

using vt::shim::cancellation_point;
using vt::shim::errno_result;

namespace {

/// Milliseconds; negative waits for ever.
struct Milliseconds {
  timespec value;
  bool forever;
  explicit Milliseconds(int ms) : value{ms / 1000, (ms % 1000) * 1000000L}, forever(ms < 0) {}
  const timespec* get() const { return forever ? nullptr : &value; }
};

/// The wait's own mask, for main.
class Masked {
 public:
  explicit Masked(const sigset_t* mask) : on_(vt::masked_call_begins(mask, &saved_)) {}
  ~Masked() {
    if (on_) vt::masked_call_ends(&saved_);
  }

 private:
  sigset_t saved_;
  bool on_;
};

/// A mask that can't be read is the kernel's to refuse.
bool parks(const sigset_t* mask = nullptr) {
  if (!vt::call_can_park() || (mask && !vt::sys::readable(mask, 8))) return false;
  cancellation_point();
  return true;
}

int to_ms(const timespec* t) { return t ? (int)(t->tv_sec * 1000 + (t->tv_nsec + 999999) / 1000000) : -1; }

/// The kernel's own wait, for a thread that doesn't park; it goes on when nothing but the end of main's ring has interrupted it.
template <class Wait>
int undisturbed(const timespec* timeout, Wait&& wait) {
  uint64_t start = timeout ? vt::sys::now() : 0;
  timespec rest;
  for (const timespec* t = timeout;;) {
    uint32_t handlers = vt::handlers_counted();
    int e = errno, r = wait(t);
    if (r >= 0 || errno != EINTR || !vt::no_handler_since(handlers)) return r;
    errno = e;
    if (!timeout) continue;
    rest = vt::sys::time_left(start, *timeout);
    t = &rest;
  }
}

}  // namespace

VT_EXPORT int poll(pollfd* fds, nfds_t count, int timeout) {
  int r = parks() ? vt::io_poll(fds, count, Milliseconds(timeout).get()) : vt::kGoNative;
  return r == vt::kGoNative ? VT_REAL(poll)(fds, count, timeout) : (int)errno_result(r);
}
VT_EXPORT int __poll(pollfd* fds, nfds_t count, int timeout) { return poll(fds, count, timeout); }
VT_EXPORT int __poll_chk(pollfd* fds, nfds_t count, int timeout, size_t room) {
  if (room / sizeof *fds < count) return VT_REAL(__poll_chk)(fds, count, timeout, room);
  return poll(fds, count, timeout);
}
VT_EXPORT int ppoll(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask) {
  if (!parks(mask)) return VT_REAL(ppoll)(fds, count, timeout, mask);
  int r;
  {
    Masked masked(mask);
    r = vt::io_poll(fds, count, timeout);
  }
  return r == vt::kGoNative ? VT_REAL(ppoll)(fds, count, timeout, mask) : (int)errno_result(r);
}
VT_EXPORT int __ppoll_chk(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask, size_t room) {
  if (room / sizeof *fds < count) return VT_REAL(__ppoll_chk)(fds, count, timeout, mask, room);
  return ppoll(fds, count, timeout, mask);
}

VT_EXPORT int select(int count, fd_set* reads, fd_set* writes, fd_set* excepts, timeval* timeout) {
  if (!parks()) return VT_REAL(select)(count, reads, writes, excepts, timeout);
  timespec t{}, before{}, after{};
  if (timeout) {
    if (timeout->tv_sec < 0 || timeout->tv_usec < 0) return (int)errno_result(-EINVAL);
    t = {timeout->tv_sec + timeout->tv_usec / 1000000, timeout->tv_usec % 1000000 * 1000};
    clock_gettime(CLOCK_MONOTONIC, &before);
  }
  int r = vt::io_select(count, reads, writes, excepts, timeout ? &t : nullptr);
  if (r == vt::kGoNative) return VT_REAL(select)(count, reads, writes, excepts, timeout);
  if (timeout) {  // Linux leaves what is left of the time
    clock_gettime(CLOCK_MONOTONIC, &after);
    long us = (t.tv_sec - (after.tv_sec - before.tv_sec)) * 1000000 + (t.tv_nsec - (after.tv_nsec - before.tv_nsec)) / 1000;
    *timeout = us > 0 ? timeval{us / 1000000, us % 1000000} : timeval{0, 0};
  }
  return (int)errno_result(r);
}
VT_EXPORT int __select(int count, fd_set* reads, fd_set* writes, fd_set* excepts, timeval* timeout) {
  return select(count, reads, writes, excepts, timeout);
}
VT_EXPORT int pselect(int count, fd_set* reads, fd_set* writes, fd_set* excepts, const timespec* timeout, const sigset_t* mask) {
  if (!parks(mask)) return VT_REAL(pselect)(count, reads, writes, excepts, timeout, mask);
  int r;
  {
    Masked masked(mask);
    r = vt::io_select(count, reads, writes, excepts, timeout);
  }
  return r == vt::kGoNative ? VT_REAL(pselect)(count, reads, writes, excepts, timeout, mask) : (int)errno_result(r);
}

VT_EXPORT int epoll_wait(int epfd, epoll_event* events, int max, int timeout) {
  int r = parks() ? vt::io_epoll_wait(epfd, events, max, Milliseconds(timeout).get()) : vt::kGoNative;
  if (r != vt::kGoNative) return (int)errno_result(r);
  return undisturbed(Milliseconds(timeout).get(), [&](const timespec* rest) { return VT_REAL(epoll_wait)(epfd, events, max, to_ms(rest)); });
}
VT_EXPORT int epoll_pwait(int epfd, epoll_event* events, int max, int timeout, const sigset_t* mask) {
  auto native = [&](const timespec* rest) { return VT_REAL(epoll_pwait)(epfd, events, max, to_ms(rest), mask); };
  if (!parks(mask)) return undisturbed(Milliseconds(timeout).get(), native);
  int r;
  {
    Masked masked(mask);
    r = vt::io_epoll_wait(epfd, events, max, Milliseconds(timeout).get());
  }
  return r == vt::kGoNative ? undisturbed(Milliseconds(timeout).get(), native) : (int)errno_result(r);
}
VT_EXPORT int epoll_pwait2(int epfd, epoll_event* events, int max, const timespec* timeout, const sigset_t* mask) {
  auto native = [&](const timespec* rest) { return VT_REAL(epoll_pwait2)(epfd, events, max, rest, mask); };
  if (!parks(mask) || (timeout && !vt::sys::readable(timeout, sizeof *timeout))) return undisturbed(timeout, native);
  int r;
  {
    Masked masked(mask);
    r = vt::io_epoll_wait(epfd, events, max, timeout);
  }
  return r == vt::kGoNative ? undisturbed(timeout, native) : (int)errno_result(r);
}
