// Lines on stderr without allocation, stdio or errno. Layer: base. Any thread, signal safe.
#pragma once

#include <stdarg.h>
#include <stddef.h>

namespace vt {

enum class LogLevel { kOff, kWarn, kInfo, kDebug };
extern LogLevel log_level;

/// Formats %s %c %d %u %x %ld %lu %lx %zu %p %% into `out` (always terminated); returns the length.
size_t format_into(char* out, size_t size, const char* format, va_list args) noexcept;
size_t print_into(char* out, size_t size, const char* format, ...) noexcept __attribute__((format(printf, 3, 4)));
void log_line(LogLevel level, const char* format, ...) noexcept __attribute__((format(printf, 2, 3)));

/// "Operation not permitted (EPERM)".
class ErrorText {
 public:
  explicit ErrorText(int error) noexcept;
  const char* text() const noexcept { return text_; }

 private:
  char text_[80];
};
/// "SIGUSR1", "SIGRTMIN+3".
class SignalName {
 public:
  explicit SignalName(int signal) noexcept;
  const char* text() const noexcept { return text_; }

 private:
  char text_[20];
};

}  // namespace vt

#define VT_LOG(level, ...) \
  (::vt::log_level >= ::vt::LogLevel::level ? ::vt::log_line(::vt::LogLevel::level, __VA_ARGS__) : (void)0)
