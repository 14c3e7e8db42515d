// poll, select and epoll_wait: the kernel is asked first; if nothing is ready, one poll submission for each descriptor, and
// it is asked again when the first of them completes. Where the ring can do the whole call (one descriptor of poll's, and epoll_wait)
// its answer is taken, and a descriptor on which nothing was ready the last times isn't asked first. Layer: io.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>

#include "api.h"
#include "base/config.h"
#include "core/cancel.h"
#include "core/event_loop.h"
#include "core/io_wait.h"
#include "core/main_thread.h"
#include "core/scheduler.h"
#include "core/slot.h"
#include "io/descriptors.h"
#include "io/operations.h"
#include "sys/clock.h"
#include "sys/memory.h"
#include "sys/stoppable.h"

namespace vt {
namespace {

using sys::kForever;
using sys::raw;

constexpr unsigned kOnStack = 16;

uint64_t deadline_of(const timespec* timeout) noexcept {
  return timeout ? sys::add(sys::now(), sys::to_ns(*timeout)) : kForever;
}

bool valid(const timespec* timeout) noexcept { return !timeout || (sys::valid(*timeout) && timeout->tv_sec >= 0); }

/// wait_any() where the reactor can't watch one of them. @parks
int poll_copy_in_person(const pollfd* fds, unsigned count, uint64_t deadline) noexcept {
  auto* copy = (pollfd*)malloc(count * sizeof(pollfd) + 1);
  if (!copy) return -ENOMEM;
  memcpy(copy, fds, count * sizeof(pollfd));
  int r = poll_in_person(copy, count, deadline);
  free(copy);
  return r < 0 ? r : 0;
}

/// Waits until one of the descriptors may be ready, or `deadline`. 0, -ENOMEM, or -EINTR (main only). `first`: what the first one's
/// submission came to; -ECANCELED if it didn't come to anything. @parks
int wait_any(const pollfd* fds, unsigned count, uint64_t deadline, int* first = nullptr) noexcept {
  if (config.chaos) chaos_yield();
  IoEntry few[kOnStack];
  IoEntry* entries = few;
  if (count > kOnStack && !(entries = (IoEntry*)calloc(count, sizeof(IoEntry)))) return -ENOMEM;
  int r = kGoNative;
  bool unwatched = false;
  if (RuntimeSection section; has_carrier(current())) {
    if (current()->carrier->is_blocking) from_blocking_thread();
    IoWait wait(current(), entries, count);
    for (unsigned i = 0; i < count; ++i) {
      if (fds[i].fd < 0) continue;
      io_uring_sqe* sqe = wait.submit(i);
      if (!sqe) break;  // the kernel takes no more: those submitted have to do, and time is looked at below
      unsigned events = (unsigned short)fds[i].events;
      if (events & POLLPRI) events |= POLLRDBAND;  // the ring drops wake-ups for POLLPRI alone (6.18); sockets' come with both
      io_uring_prep_poll_add(sqe, fds[i].fd, events);
      wait.track(sqe, i);
    }
    if (wait.pending) wait.finish(ParkReason::kPoll, deadline, true);
    if (first) *first = wait.waited ? entries[0].result : -ECANCELED;
    for (unsigned i = 0; by_readiness && i < wait.waited; ++i) unwatched |= entries[i].result == kInPerson;
    r = wait.interrupted ? -EINTR : wait.go_native ? kGoNative : 0;
  }
  if (__builtin_expect(unwatched && r == 0, 0)) r = poll_copy_in_person(fds, count, deadline), first ? *first = -ECANCELED : 0;
  if (entries != few) free(entries);
  return r;
}

/// epoll_wait by the ring: how many events, or as wait_any(), or the kernel's complaint. @parks
int epoll_wait_in_ring(int epfd, epoll_event* events, int max, uint64_t deadline) noexcept {
  if (config.chaos) chaos_yield();
  RuntimeSection section;
  if (!has_carrier(current())) return kGoNative;
  if (current()->carrier->is_blocking) from_blocking_thread();
  IoEntry entry;
  IoWait wait(current(), &entry, 1);
  io_uring_sqe* sqe = wait.submit(0);
  if (!sqe) return 0;
  sqe->opcode = kOpEpollWait;
  sqe->fd = epfd;
  sqe->addr = (uint64_t)events;
  sqe->len = (unsigned)max;
  wait.track(sqe, 0);
  wait.finish(ParkReason::kPoll, deadline, true);
  if (entry.result > 0) return entry.result;  // also if the wait was to end: these events are taken
  if (wait.interrupted) return -EINTR;
  if (wait.go_native) return kGoNative;
  return entry.result == -ECANCELED || entry.result == -EAGAIN || entry.result == -EINTR ? 0 : entry.result;
}

/// epoll_wait by the kernel, on an OS thread that is the caller's: how many events, or -errno.
int epoll_wait_in_kernel(VThread* v, int epfd, epoll_event* events, int max, uint64_t deadline) noexcept {
  uint32_t handlers = handlers_before_call();
  const bool* stop = cancel_flag(v);
  long r;
  v->note.on_descriptors(ParkReason::kPoll, {epfd}, 1, deadline);
  do {
    timespec left, *limit = nullptr;
    if (deadline != kForever) {
      left = sys::time_until(deadline);
      limit = &left;
    }
    r = sys::stoppable(stop, SYS_epoll_pwait2, epfd, events, max, limit, nullptr, 8);
  } while (r == -EINTR && !thread_was_interrupted(handlers, true));
  v->note.clear();
  return (int)r;
}

/// The kernel's table of descriptors has this many places, and select looks at no more bits. INT_MAX: unknown.
int table_size() noexcept {
  char text[1024];
  long fd = raw(SYS_open, "/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return INT_MAX;
  long n = raw(SYS_read, fd, text, sizeof text - 1);
  raw(SYS_close, fd);
  text[n > 0 ? n : 0] = 0;
  const char* line = strstr(text, "\nFDSize:");
  return line ? atoi(line + 8) : INT_MAX;
}

/// Without a descriptor to watch, poll and select are sleeps.
int sleep_till(uint64_t deadline) noexcept { return sleep_until(CLOCK_MONOTONIC, sys::to_timespec(deadline), true); }

}  // namespace

int io_poll(pollfd* fds, nfds_t count, const timespec* timeout) noexcept {
  if (!valid(timeout)) return -EINVAL;
  main_call_begins(current());
  uint64_t deadline = deadline_of(timeout);
  for (int waited = 0;;) {
    timespec none{};
    int r = (int)raw(SYS_ppoll, fds, count, &none, nullptr, 8);
    if (r != 0) return r;
    if (waited < 0) return waited;
    if (timeout && sys::now() >= deadline) return 0;
    bool watch = false;
    for (nfds_t i = 0; i < count; ++i) watch |= fds[i].fd >= 0;
    int first = -ECANCELED;
    waited = watch ? wait_any(fds, (unsigned)count, deadline, &first) : sleep_till(deadline);
    if (count == 1 && first > 0)
      if (short ready = (short)(first & (fds->events | POLLERR | POLLHUP))) return fds->revents = ready, 1;
  }
}

int io_select(int count, fd_set* reads, fd_set* writes, fd_set* excepts, const timespec* timeout) noexcept {
  if (!valid(timeout) || count < 0) return -EINVAL;
  if (count > FD_SETSIZE) count = std::min(count, table_size());  // getdtablesize() is passed with sets that are smaller
  uint64_t deadline = deadline_of(timeout);
  size_t words = ((size_t)count + 63) / 64;
  uint64_t* sets[3] = {(uint64_t*)reads, (uint64_t*)writes, (uint64_t*)excepts};
  for (uint64_t* set : sets)
    if (set && words && !sys::readable(set, words * 8)) {
      timespec none{};
      return (int)raw(SYS_pselect6, count, reads, writes, excepts, &none, nullptr);  // for its errors
    }
  constexpr short kEvents[3] = {POLLIN | POLLRDNORM | POLLRDBAND, POLLOUT | POLLWRNORM | POLLWRBAND, POLLPRI};
  auto* memory = (uint64_t*)malloc(words * 8 * 3 + 1);
  if (!memory) return -ENOMEM;
  uint64_t* wanted[3];
  for (int s = 0; s < 3; ++s) {
    wanted[s] = memory + words * (size_t)s;
    if (sets[s] && !copy_in(wanted[s], sets[s], words * 8)) {
      free(memory);
      return -EFAULT;
    }
  }
  pollfd* fds = nullptr;
  unsigned n = 0;
  int r;
  main_call_begins(current());
  for (int waited = 0;;) {
    timespec none{};
    r = (int)raw(SYS_pselect6, count, sets[0], sets[1], sets[2], &none, nullptr);
    if (r == 0) r = waited;
    if (r != 0 || (timeout && sys::now() >= deadline)) break;
    if (!fds) {
      if (!(fds = (pollfd*)calloc((size_t)count + 1, sizeof(pollfd)))) {
        r = -ENOMEM;
        break;
      }
      for (int fd = 0; fd < count; ++fd) {
        short events = 0;
        for (int s = 0; s < 3; ++s)
          if (sets[s] && (wanted[s][fd / 64] >> (fd % 64) & 1)) events |= kEvents[s];
        if (events) fds[n++] = {fd, events, 0};
      }
    }
    waited = n ? wait_any(fds, n, deadline) : sleep_till(deadline);
    for (int s = 0; s < 3; ++s)
      if (sets[s]) memcpy(sets[s], wanted[s], words * 8);
  }
  if (r == kGoNative)  // as the caller gave them
    for (int s = 0; s < 3; ++s)
      if (sets[s]) memcpy(sets[s], wanted[s], words * 8);
  free(fds);
  free(memory);
  return r;
}

namespace {
/// On a carrier. @parks
int epoll_wait_parked(int epfd, epoll_event* events, int max, const timespec* timeout, uint64_t deadline) noexcept {
  pollfd one{epfd, POLLIN, 0};
  bool by_ring = uring_has_epoll_wait.load(std::memory_order_relaxed) && max > 0 && !in_slot(events);  // core/slot.h: such memory isn't its own meanwhile
  bool ask = !by_ring || (timeout && sys::to_ns(*timeout) == 0) || worth_a_try(epfd);
  for (int waited = 0;; ask = true) {
    if (ask) {
      int r = (int)raw(SYS_epoll_wait, epfd, events, max, 0);
      if (r != 0) return note_try(epfd, true), r;
      if (waited < 0) return waited;
      if (timeout && sys::now() >= deadline) return 0;
      note_try(epfd, false);
    }
    waited = by_ring ? epoll_wait_in_ring(epfd, events, max, deadline) : wait_any(&one, 1, deadline);
    if (waited > 0) return waited;
    if (waited < 0 && waited != -EINTR && waited != kGoNative) by_ring = false, waited = 0;  // the call itself is to say so
  }
}

}  // namespace

int io_epoll_wait(int epfd, epoll_event* events, int max, const timespec* timeout) noexcept {
  if (!valid(timeout)) return -EINVAL;
  VThread* v = current();
  main_call_begins(v);
  uint64_t deadline = deadline_of(timeout);
  if (timeout && sys::to_ns(*timeout) == 0) return epoll_wait_parked(epfd, events, max, timeout, deadline);  // it asks
  int r = event_loop_begins(v) ? epoll_wait_in_kernel(v, epfd, events, max, deadline) : epoll_wait_parked(epfd, events, max, timeout, deadline);
  event_loop_waited(v);
  return r;
}

}  // namespace vt
