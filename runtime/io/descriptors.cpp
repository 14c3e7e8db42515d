#include "io/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

#include <atomic>

#include "api.h"
#include "base/log.h"
#include "core/reactor.h"
#include "core/vthread.h"
#include "sys/clock.h"
#include "sys/descriptors.h"
#include "sys/raw.h"

namespace vt {
namespace {

using sys::kForever;
using sys::raw;

std::atomic<bool> timeouts_in_use{false};
std::atomic<bool> linger_in_use{false};
std::atomic<bool> low_water_in_use{false};

// ---------------------------------------------------------------- what is known of each descriptor
// One word per fd: the misses of its last tries (racy on purpose, it only steers), and the epoch in which it was seen without
// O_NONBLOCK. The ring waits on a descriptor whatever its O_NONBLOCK is (measured on 6.18), so who parks must know; fcntl costs a
// microsecond on some hosts. A fact dies with its fd's number (close) or when anything becomes non-blocking anywhere in the
// process (a new epoch), since descriptions are shared. Descriptors 0 to 2 are shared with other processes: always asked.

constexpr uint32_t kMissesToSkip = 2, kRetryEvery = 32, kMisses = 0xff;
uint32_t history[known::kFds];           // epoch << 8 | misses
uint32_t streams[known::kFds];           // the epoch in which it was seen not to be a file
uint8_t kinds[known::kFds];              // a Kind: of 0 to 2, too
std::atomic<uint32_t> current_epoch{1};  // 24 bits count; 0 is never current

bool is_known(int fd) noexcept { return fd > 2 && (unsigned)fd < known::kFds; }

Kind ask_kind(int fd) noexcept {
  using enum Kind;
  int type = 0;
  socklen_t size = sizeof type;
  long r = raw(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &size);
  struct stat s;
  if (r != -ENOTSOCK || raw(SYS_fstat, fd, &s) < 0) return r == 0 && type == SOCK_STREAM ? kStreamSocket : kOther;
  if (S_ISCHR(s.st_mode)) {
    termios t;
    return raw(SYS_ioctl, fd, TCGETS, &t) == 0 ? kTerminal : kDevice;
  }
  if (s.st_mode & S_IFMT) return kOther;
  constexpr char kSignalfd[] = "anon_inode:[signalfd]";
  char path[64], name[sizeof kSignalfd];
  print_into(path, sizeof path, "/proc/thread-self/fd/%d", fd);
  return raw(SYS_readlink, path, name, sizeof name) == sizeof name - 1 && memcmp(name, kSignalfd, sizeof name - 1) == 0 ? kSignals : kOther;
}

/// A socket's option `name`, of type T; none if the program has never set it on any.
template <class T>
T option(const std::atomic<bool>& in_use, int fd, int name) noexcept {
  T value{};
  socklen_t size = sizeof value;
  if (!in_use.load(std::memory_order_relaxed) || raw(SYS_getsockopt, fd, SOL_SOCKET, name, &value, &size) < 0) return T{};
  return value;
}

}  // namespace

bool worth_a_try(int fd) noexcept {
  if (!is_known(fd)) return true;
  uint32_t k = __atomic_load_n(&history[fd], __ATOMIC_RELAXED), m = k & kMisses;
  if (m < kMissesToSkip) return true;
  __atomic_store_n(&history[fd], (k & ~kMisses) | (m + 1 >= kRetryEvery ? kMissesToSkip - 1 : m + 1), __ATOMIC_RELAXED);
  return false;
}
void note_try(int fd, bool hit) noexcept {
  if (!is_known(fd)) return;
  uint32_t k = __atomic_load_n(&history[fd], __ATOMIC_RELAXED), m = k & kMisses;
  uint32_t next = hit ? 0 : m < kMissesToSkip ? m + 1 : m;
  if (next != m) __atomic_store_n(&history[fd], (k & ~kMisses) | next, __ATOMIC_RELAXED);
}

bool ask_nonblocking(int fd) noexcept {
  long flags = raw(SYS_fcntl, fd, F_GETFL);
  return flags < 0 || (flags & O_NONBLOCK);
}

bool is_nonblocking(int fd) noexcept {
  if (!is_known(fd)) return ask_nonblocking(fd);
  uint32_t epoch = current_epoch.load(std::memory_order_acquire) << 8, k = __atomic_load_n(&history[fd], __ATOMIC_RELAXED);
  if ((k & ~kMisses) == epoch) return false;
  if (ask_nonblocking(fd)) return true;
  __atomic_store_n(&history[fd], epoch | (k & kMisses), __ATOMIC_RELAXED);
  return false;
}

bool known::ask_mode(int fd, uint32_t epoch) noexcept {
  if (!is_known(fd)) return false;
  uint32_t m = __atomic_load_n(&modes[fd], __ATOMIC_RELAXED);
  m = (m & ~0xffu) == epoch ? m + 1 : epoch + 1;
  if ((m & 0xff) >= kAskAt) m = epoch | (ask_nonblocking(fd) ? kNever : kBlocks);
  __atomic_store_n(&modes[fd], m, __ATOMIC_RELAXED);
  return (m & 0xff) == kNever;
}

uint64_t socket_deadline(int fd, int option) noexcept {
  if (!timeouts_in_use.load(std::memory_order_relaxed)) return kForever;
  struct {
    int64_t s, us;
  } t{};
  socklen_t size = sizeof t;
  if (raw(SYS_getsockopt, fd, SOL_SOCKET, option, &t, &size) < 0 || (t.s == 0 && t.us == 0)) return kForever;
  return sys::add(sys::now(), (uint64_t)t.s * sys::kSecond + (uint64_t)t.us * 1000);
}

bool may_be_file(int fd) noexcept {
  uint32_t epoch = current_epoch.load(std::memory_order_acquire);
  if (is_known(fd) && __atomic_load_n(&streams[fd], __ATOMIC_RELAXED) == epoch) return false;
  struct stat s;
  if (raw(SYS_fstat, fd, &s) == 0 && (S_ISREG(s.st_mode) || S_ISBLK(s.st_mode) || S_ISDIR(s.st_mode))) return true;
  if (is_known(fd)) __atomic_store_n(&streams[fd], epoch, __ATOMIC_RELAXED);
  return false;
}

Kind kind_of(int fd) noexcept {
  if ((unsigned)fd >= known::kFds) return ask_kind(fd);
  auto kind = (Kind)__atomic_load_n(&kinds[fd], __ATOMIC_RELAXED);
  if (kind == Kind::kUnasked) __atomic_store_n(&kinds[fd], (uint8_t)(kind = ask_kind(fd)), __ATOMIC_RELAXED);
  return kind;
}
void note_speechless(int fd) noexcept {
  if ((unsigned)fd < known::kFds && kind_of(fd) == Kind::kOther) __atomic_store_n(&kinds[fd], (uint8_t)Kind::kSpeechless, __ATOMIC_RELAXED);
}
bool seems_stream_socket(int fd) noexcept { return is_known(fd) && kind_of(fd) == Kind::kStreamSocket; }

bool has_low_water(int fd) noexcept { return option<int>(low_water_in_use, fd, SO_RCVLOWAT) > 1; }
bool io_lingers(int fd) noexcept {
  auto l = option<linger>(linger_in_use, fd, SO_LINGER);
  return l.l_onoff && l.l_linger > 0;
}

// ---------------------------------------------------------------- api.h

void io_note_option(int name) noexcept {
  constexpr int kNewRcvTimeo = 66, kNewSndTimeo = 67;  // SO_RCVTIMEO_NEW, SO_SNDTIMEO_NEW
  if (name == SO_RCVTIMEO || name == SO_SNDTIMEO || name == kNewRcvTimeo || name == kNewSndTimeo)
    timeouts_in_use.store(true, std::memory_order_relaxed);
  else if (name == SO_LINGER)
    linger_in_use.store(true, std::memory_order_relaxed);
  else if (name == SO_RCVLOWAT)
    low_water_in_use.store(true, std::memory_order_relaxed);
}
void io_forget(int fd) noexcept {
  if ((unsigned)fd < known::kFds) __atomic_store_n(&kinds[fd], (uint8_t)Kind::kUnasked, __ATOMIC_RELAXED);
  if (!is_known(fd)) return;
  __atomic_store_n(&history[fd], 0u, __ATOMIC_RELAXED);
  __atomic_store_n(&streams[fd], 0u, __ATOMIC_RELAXED);
  __atomic_store_n(&known::modes[fd], known::blocking_epoch.load(std::memory_order_relaxed), __ATOMIC_RELAXED);
}
namespace {
/// In a child that shares our memory, but not our descriptors, nothing of ours is given up.
bool closes_ours() noexcept {
  VThread* v = current();
  return by_readiness && !(v && is_child_in_memory(v));
}
}  // namespace
void io_closing(int fd) noexcept {
  io_forget(fd);
  if (__builtin_expect(closes_ours(), 0)) readiness_keep(fd);
}
void io_closing(unsigned first, unsigned last) noexcept {
  if (__builtin_expect(closes_ours(), 0)) readiness_keep_range(first, last);
}
bool io_is_own(int fd) noexcept { return sys::is_own(fd); }
int io_next_own(unsigned fd) noexcept { return sys::next_own(fd); }
void io_note_blocking() noexcept { known::blocking_epoch.fetch_add(256, std::memory_order_relaxed); }
void io_note_nonblocking() noexcept {
  uint32_t e = current_epoch.load(std::memory_order_relaxed);
  while (!current_epoch.compare_exchange_weak(e, (e + 1) & 0xffffff ? e + 1 : 1, std::memory_order_release)) {
  }
}

}  // namespace vt
