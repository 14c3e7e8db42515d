// What is known of descriptors and asked of the kernel only once: O_NONBLOCK, what is no file, which tries were in vain; and the socket
// options that change how a call waits, asked for only once the program has set one. Layer: io. @thread any
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <atomic>

namespace vt {

/// Would a call on it return at once, whatever there is? True also for what is no descriptor: the call itself says so.
bool is_nonblocking(int fd) noexcept;
/// Seen to be non-blocking a while ago: the kernel's plain call may be made, which costs less than one that is told not to wait. Only steers: where it
/// waits after all, the monitor sees it.
inline bool seems_nonblocking(int fd) noexcept;
/// Of the kernel.
bool ask_nonblocking(int fd) noexcept;
/// Is it worth a call that may not block? And what came of it.
bool worth_a_try(int fd) noexcept;
void note_try(int fd, bool hit) noexcept;
/// Short counts on streams are frequent, so what is none is remembered.
bool may_be_file(int fd) noexcept;
/// Asked of the kernel once for each; only steers, since behind our back the number may come to be another file's.
enum class Kind : uint8_t {
  kUnasked,
  kStreamSocket,
  kSignals,     // a signalfd
  kTerminal,
  kDevice,      // another character device
  kSpeechless,  // of the others one that was once asked not to wait, and can't be
  kOther,
};
Kind kind_of(int fd) noexcept;
void note_speechless(int fd) noexcept;
/// False for 0 to 2.
bool seems_stream_socket(int fd) noexcept;
/// What SO_RCVTIMEO or SO_SNDTIMEO says, as a deadline.
uint64_t socket_deadline(int fd, int option) noexcept;
/// SO_RCVLOWAT is more than one byte: a call that may not block would take less.
bool has_low_water(int fd) noexcept;

// ---------------------------------------------------------------- the part of the hot path

namespace known {
inline constexpr unsigned kFds = 1 << 16;
/// Each one's calls since it came, up to kAskAt; then kBlocks or kNever, asked once; above that the epoch, in which nothing was made blocking.
inline uint32_t modes[kFds];
inline constexpr uint32_t kAskAt = 8, kBlocks = 0x80, kNever = 0x81;
inline std::atomic<uint32_t> blocking_epoch{0};  // in steps of 256
bool ask_mode(int fd, uint32_t epoch) noexcept;
}  // namespace known

inline bool seems_nonblocking(int fd) noexcept {
  if ((unsigned)fd >= known::kFds) return false;
  uint32_t epoch = known::blocking_epoch.load(std::memory_order_relaxed);
  uint32_t mode = __atomic_load_n(&known::modes[fd], __ATOMIC_RELAXED) ^ epoch;
  if (__builtin_expect(mode == known::kBlocks, 1)) return false;
  return mode == known::kNever || known::ask_mode(fd, epoch);
}

}  // namespace vt
