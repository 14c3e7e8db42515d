#include "core/readiness_reactor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "api.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/spin_lock.h"
#include "core/carrier.h"
#include "core/self.h"
#include "sys/clock.h"
#include "sys/descriptors.h"
#include "sys/raw.h"

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

namespace vt {

using sys::raw;

/// A submission. From sqe() to reap() it is its reactor's.
//   free        in free_                      sqe(): submitted
//   submitted   in submitted_                 submit(): armed or finished; cancel(): finished
//   armed       in own_ and in its bucket     a call that came to something, cancel(): finished
//   finished    in finished_                  reap(): free
struct Watch {
  io_uring_sqe call;
  IoOp* op;
  ReadinessReactor* home;
  Watch* next;      // in the reactor's list
  Watch** back;     // in own_: what points here
  Watch *after, *before;  // in the bucket, oldest first
  int key;          // the number that the submission names: the bucket's
  int fd;           // the number that leads to the same file now; readiness_keep()
  uint32_t events;
  int result;       // when finished; with MSG_WAITALL what has come so far
  bool armed;
};

namespace {

constexpr uint64_t kWakeUp = ~0ull;  // the eventfd's data
constexpr int kMostEvents = 128;

/// Those that wait on a descriptor, of all carriers: the numbers modulo kBuckets.
struct Bucket {
  SpinLock lock{Rank::kBucket};
  Watch *first = nullptr, *last = nullptr;
};
constexpr unsigned kBuckets = 1024;
Bucket buckets[kBuckets];
Bucket& bucket_of(int key) noexcept { return buckets[(unsigned)key % kBuckets]; }

uint64_t data_of(const Watch* w) noexcept { return (uint64_t)(uint32_t)w->key << 32 | (uint32_t)w->fd; }

/// Under the bucket's lock.
void put_in(Bucket& b, Watch* w) noexcept {
  w->after = nullptr;
  w->before = b.last;
  __atomic_store_n(b.last ? &b.last->after : &b.first, w, __ATOMIC_RELAXED);
  b.last = w;
}
void take_out_of(Bucket& b, Watch* w) noexcept {
  __atomic_store_n(w->before ? &w->before->after : &b.first, w->after, __ATOMIC_RELAXED);
  (w->after ? w->after->before : b.last) = w->before;
  if (w->fd == w->key) return;
  for (Watch* other = b.first; other; other = other->after)
    if (other->fd == w->fd) return;
  sys::close_own(w->fd);  // nobody else's wait is on it
}

/// What the waits of one carrier on one descriptor are for; no more than `enough`, if that is among them.
uint32_t events_of(const Bucket& b, const ReadinessReactor* home, int key, int fd, uint32_t enough = ~0u) noexcept {
  uint32_t events = 0;
  for (Watch* w = b.last; w && (events & enough) != enough; w = w->before)
    if (w->home == home && w->key == key && w->fd == fd) events |= w->events;
  return events;
}

int control(int epoll, int fd, uint32_t events, uint64_t data) noexcept {
  epoll_event e{};
  e.events = events | EPOLLONESHOT;
  e.data.u64 = data;
  // Mostly it has waited there before. The kernel forgets a number with the file behind it.
  long r = raw(SYS_epoll_ctl, epoll, EPOLL_CTL_MOD, fd, &e);
  return (int)(r == -ENOENT ? raw(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, fd, &e) : r);
}

uint32_t events_for(const io_uring_sqe& call) noexcept {
  switch (call.opcode) {
    case IORING_OP_POLL_ADD: return call.poll32_events;
    case IORING_OP_RECV:
    case IORING_OP_RECVMSG: return call.msg_flags & MSG_OOB ? POLLPRI : POLLIN;
    default: return POLLIN;
  }
}

/// Others end with a message, whatever MSG_WAITALL says.
bool is_stream(int fd) noexcept {
  int type = 0;
  socklen_t size = sizeof type;
  return raw(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

int receive(Watch* w) noexcept {
  auto& c = w->call;
  long r = raw(SYS_recvfrom, w->fd, c.addr + (uint64_t)w->result, c.len - (unsigned)w->result, c.msg_flags | MSG_DONTWAIT, nullptr, nullptr);
  if (!(c.msg_flags & MSG_WAITALL)) return (int)r;
  if (r > 0) w->result += (int)r;
  if (r > 0 && (unsigned)w->result < c.len && is_stream(w->fd)) return -EAGAIN;
  if (r == -EAGAIN) return -EAGAIN;
  return w->result ? w->result : (int)r;
}

bool is_ready(int fd, short events) noexcept {
  pollfd p{fd, events, 0};
  return raw(SYS_poll, &p, 1, 0) == 1;
}

/// The call itself, which doesn't wait: its result, or -EAGAIN. Under the bucket's lock, by whom the number leads to the same file as it did.
int attempt(Watch* w) noexcept {
  auto& c = w->call;
  switch (c.opcode) {
    case IORING_OP_POLL_ADD: {
      pollfd p{w->fd, (short)c.poll32_events, 0};
      long r = raw(SYS_poll, &p, 1, 0);
      return r == 0 ? -EAGAIN : r < 0 ? (int)r : (unsigned short)p.revents;
    }
    case IORING_OP_RECV: return receive(w);
    case IORING_OP_RECVMSG: return (int)raw(SYS_recvmsg, w->fd, c.addr, c.msg_flags | MSG_DONTWAIT);
    case IORING_OP_READ:
    case IORING_OP_READV: {
      iovec one{(void*)c.addr, c.len};
      bool is_vector = c.opcode == IORING_OP_READV;
      long r = raw(SYS_preadv2, w->fd, is_vector ? (iovec*)c.addr : &one, is_vector ? c.len : 1, c.off, 0, c.rw_flags | RWF_NOWAIT);
      return r == -EOPNOTSUPP ? kInPerson : (int)r;
    }
    case IORING_OP_ACCEPT: return is_ready(w->fd, POLLIN) ? kInPerson : -EAGAIN;  // the call can't be asked not to wait
    default: return -EINVAL;
  }
}

}  // namespace

int ReadinessReactor::open(bool needed) noexcept {
  constexpr long kCloseOnExec = EPOLL_CLOEXEC;
  long fds[2] = {raw(SYS_epoll_create1, kCloseOnExec), raw(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK)};
  int* places[2] = {&epoll_, &wake_};
  int error = 0;
  for (int i = 0; i < 2; ++i) {
    *places[i] = error ? -1 : sys::move_up((int)fds[i], needed);
    if (*places[i] < 0 && fds[i] >= 0) raw(SYS_close, fds[i]);
    if (!error && *places[i] < 0) error = *places[i];
  }
  if (!error) {
    epoll_event e{};
    e.events = EPOLLIN | EPOLLET;  // an edge for each write: nobody reads it
    e.data.u64 = kWakeUp;
    error = (int)raw(SYS_epoll_ctl, epoll_, EPOLL_CTL_ADD, wake_, &e);
  }
  if (!error && !free_ && !grow()) error = -ENOMEM;
  if (error) abandon();
  return error;
}

void ReadinessReactor::close() noexcept {
  VT_ASSERT(in_flight_ == 0 && !own_ && !submitted_);
  abandon();
}

void ReadinessReactor::abandon() noexcept {
  for (int* fd : {&epoll_, &wake_}) {
    if (*fd >= 0) sys::close_own(*fd);
    *fd = -1;
  }
}

/// More places; they stay for ever, since the most that were in flight at once may be again.
bool ReadinessReactor::grow() noexcept {
  constexpr size_t kSize = 64 << 10;
  long p = raw(SYS_mmap, nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p < 0 && p > -4096) return false;
  auto* w = (Watch*)p;
  for (size_t i = 0; i < kSize / sizeof *w; ++i, ++w) w->next = free_, free_ = w;
  return true;
}

io_uring_sqe* ReadinessReactor::sqe() noexcept {
  if (!free_ && !grow()) return nullptr;
  Watch* w = free_;
  free_ = w->next;
  memset((void*)w, 0, sizeof *w);
  w->home = this;
  *submitted_end_ = w;
  submitted_end_ = &w->next;
  return &w->call;
}

void ReadinessReactor::track(io_uring_sqe* sqe, IoOp* op) noexcept {
  auto* w = (Watch*)sqe;
  w->op = op;
  op->watch = w;
  __atomic_store_n(&in_flight_, in_flight_ + 1, __ATOMIC_RELAXED);
}

void ReadinessReactor::finish(Watch* w, int result) noexcept {
  w->result = result;
  w->next = nullptr;
  *finished_end_ = w;
  finished_end_ = &w->next;
}

/// Out of own_.
void ReadinessReactor::drop(Watch* w) noexcept {
  *w->back = w->next;
  if (w->next) w->next->back = w->back;
  w->armed = false;
}

void ReadinessReactor::cancel(IoOp* op) noexcept {
  Watch* w = op->watch;
  if (!w->armed) {  // not submitted yet, or finished already
    for (Watch** p = &submitted_; *p; p = &(*p)->next) {
      if (*p != w) continue;
      if (!(*p = w->next)) submitted_end_ = p;
      return finish(w, -ECANCELED);
    }
    return;
  }
  Bucket& b = bucket_of(w->key);
  {
    LockGuard guard(b.lock);
    take_out_of(b, w);  // what stays armed for it in the kernel comes to nothing once
  }
  drop(w);
  finish(w, w->result > 0 ? w->result : -ECANCELED);
}

void ReadinessReactor::cancel_all() noexcept {
  submit();
  while (own_) cancel(own_->op);
}

void ReadinessReactor::arm(Watch* w) noexcept {
  w->events = events_for(w->call);
  Bucket& b = bucket_of(w->key);
  int r;
  {
    LockGuard guard(b.lock);
    uint32_t before = events_of(b, this, w->key, w->fd, w->events);
    put_in(b, w);
    w->armed = true;
    r = before && !(w->events & ~before) ? 0 : control(epoll_, w->fd, before | w->events, data_of(w));
    if (r < 0) take_out_of(b, w);
  }
  if (r == 0) {
    w->next = own_;
    w->back = &own_;
    if (own_) own_->back = &w->next;
    own_ = w;
    return;
  }
  w->armed = false;
  // EPERM: a file, which is always ready. Others (no memory, a chain of epoll instances) are no fault of the call's.
  if (r == -EPERM && w->call.opcode == IORING_OP_POLL_ADD) r = attempt(w);
  else if (r != -EBADF) r = kInPerson;
  finish(w, r == -EAGAIN ? kInPerson : r);
}

void ReadinessReactor::submit() noexcept {
  while (Watch* w = submitted_) {
    if (!(submitted_ = w->next)) submitted_end_ = &submitted_;
    w->key = w->fd = w->call.fd;
    // What the kernel says of vectors and messages it says before it waits. The others have been tried.
    bool may_be_wrong = w->call.opcode == IORING_OP_READV || w->call.opcode == IORING_OP_RECVMSG;
    int r = may_be_wrong ? attempt(w) : -EAGAIN;
    if (r == -EAGAIN) arm(w);
    else finish(w, r);
  }
}

long ReadinessReactor::ask(epoll_event* events, int most, uint64_t deadline) noexcept {
  static bool has_pwait2 = true;  // linux 5.11
  if (deadline == 0) return raw(SYS_epoll_wait, epoll_, events, most, 0);
  if (deadline == sys::kForever) return raw(SYS_epoll_wait, epoll_, events, most, -1);
  timespec left = sys::time_until(deadline);
  if (__atomic_load_n(&has_pwait2, __ATOMIC_RELAXED)) {
    long r = raw(SYS_epoll_pwait2, epoll_, events, most, &left, nullptr, 8);
    if (r != -ENOSYS && r != -EPERM) return r;
    __atomic_store_n(&has_pwait2, false, __ATOMIC_RELAXED);
  }
  pollfd p{epoll_, POLLIN, 0};
  long r = raw(SYS_ppoll, &p, 1, &left, nullptr, 8);
  return r <= 0 ? r : raw(SYS_epoll_wait, epoll_, events, most, 0);
}

void ReadinessReactor::dispatch(uint64_t data, uint32_t ready) noexcept {
  int key = (int)(data >> 32), fd = (int)(uint32_t)data;
  Bucket& b = bucket_of(key);
  Watch* done = nullptr;
  Watch** done_end = &done;
  {
    LockGuard guard(b.lock);
    uint32_t left = 0;
    bool accepts = false;
    for (Watch *w = b.first, *next; w; w = next) {
      next = w->after;
      if (w->home != this || w->key != key || w->fd != fd) continue;
      // A connection is for one: who waits longest makes the call soon.
      bool later = accepts && w->call.opcode == IORING_OP_ACCEPT;
      int r = later ? -EAGAIN : attempt(w);
      accepts |= r == kInPerson && w->call.opcode == IORING_OP_ACCEPT;
      // What stays ready without anything to receive (messages in the error queue) would be reported for ever.
      // What MSG_WAITALL has taken of a stream already is the answer then: a call made anew would begin behind it.
      if (r == -EAGAIN && !later && (ready & EPOLLERR) && w->call.opcode != IORING_OP_POLL_ADD) r = w->result ? w->result : kInPerson;
      if (r == -EAGAIN || r == -EINTR) {
        left |= w->events;
        continue;
      }
      drop(w);
      w->result = r;
      w->next = nullptr;
      *done_end = w;
      done_end = &w->next;
    }
    if (left) control(epoll_, fd, left, data);
    for (Watch* w = done; w; w = w->next) take_out_of(b, w);
  }
  while (Watch* w = done) {
    done = w->next;
    finish(w, w->result);
  }
}

bool ReadinessReactor::collect(uint64_t deadline, Carrier* here) noexcept {
  epoll_event events[kMostEvents];
  long n = ask(events, kMostEvents, deadline);
  if (n < 0 && n != -EINTR) {
    static bool told = false;
    if (!__atomic_exchange_n(&told, true, __ATOMIC_RELAXED)) complain("epoll_wait fails: %s; threads that wait for I/O may wait for ever", ErrorText((int)-n).text());
    timespec moment{0, 10'000'000};
    if (deadline) raw(SYS_nanosleep, &moment, nullptr);  // no descriptor can wake this carrier: it looks by itself
  }
  for (long i = 0; i < n; ++i)
    if (events[i].data.u64 != kWakeUp) dispatch(events[i].data.u64, events[i].events);
  return n > 0;
}

bool ReadinessReactor::reap(Carrier* here) noexcept {
  bool some = false;
  while (Watch* w = finished_) {
    if (!(finished_ = w->next)) finished_end_ = &finished_;
    __atomic_store_n(&in_flight_, in_flight_ - 1, __ATOMIC_RELAXED);
    IoOp* op = w->op;
    int result = w->result;
    w->next = free_;
    free_ = w;
    op->complete(op, result, here);
    some = true;
  }
  return some;
}

void ReadinessReactor::poll(Carrier* here) noexcept {
  submit();
  if (own_) collect(0, here);
  reap(here);
}

void ReadinessReactor::wait(uint64_t deadline, Carrier* here) noexcept {
  submit();
  collect(finished_ ? 0 : deadline ? deadline : 1, here);
  reap(here);
}

void ReadinessReactor::wake() noexcept {
  uint64_t one = 1;
  raw(SYS_write, wake_, &one, sizeof one);
}

/// The buckets' view of a reactor: where a wait goes on by another number.
struct WatchTable {
  static int watch(ReadinessReactor* home, int fd, uint32_t events, uint64_t data) noexcept { return control(home->epoll_, fd, events, data); }
};

namespace {
/// False: no descriptor can be had for it.
bool keep(int fd) noexcept {
  Bucket& b = bucket_of(fd);
  LockGuard guard(b.lock);
  int kept = -1;
  for (Watch* w = b.first; w; w = w->after) {
    if (w->fd != fd) continue;
    if (kept < 0) {
      constexpr long kHigh = 512;
      long copy = raw(SYS_fcntl, fd, F_DUPFD_CLOEXEC, kHigh);
      if (copy < 0) copy = raw(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3);  // fewer may be allowed
      if (copy < 0) return false;  // EMFILE; or EBADF, and there is nothing to keep
      sys::own((int)copy, true);
      kept = (int)copy;
    }
    w->fd = kept;
    WatchTable::watch(w->home, kept, events_of(b, w->home, w->key, kept), data_of(w));
  }
  return true;
}
}  // namespace

void readiness_keep(int fd) noexcept {
  // A wait that begins just now may find either file, as natively.
  if (fd < 0 || !__atomic_load_n(&bucket_of(fd).first, __ATOMIC_RELAXED)) return;
  RuntimeSection section;
  if (!keep(fd)) VT_LOG(kInfo, "no descriptor to be had for who waits on %d, which is closed: it waits for ever", fd);
}

void readiness_keep_range(unsigned first, unsigned last) noexcept {
  for (Bucket& b : buckets) {
    for (int fd = 0; fd >= 0;) {
      if (!__atomic_load_n(&b.first, __ATOMIC_RELAXED)) break;
      RuntimeSection section;
      {
        LockGuard guard(b.lock);
        fd = -1;
        for (Watch* w = b.first; w; w = w->after)
          if (w->fd == w->key && (unsigned)w->fd >= first && (unsigned)w->fd <= last) fd = w->fd;
      }
      if (fd >= 0 && !keep(fd)) break;
    }
  }
}

void readiness_after_fork() noexcept {
  for (Bucket& b : buckets) {
    b.lock.reset();
    for (Watch* w = b.first; w; w = w->after)
      if (w->fd != w->key && sys::is_own(w->fd)) sys::close_own(w->fd);
    b.first = b.last = nullptr;
  }
}

}  // namespace vt
