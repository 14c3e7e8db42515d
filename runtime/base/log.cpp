#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "api.h"
#include "base/assert.h"
#include "sys/raw.h"

namespace vt {

LogLevel log_level = LogLevel::kWarn;
void (*report_state)() noexcept = nullptr;

namespace {

class Writer {
 public:
  Writer(char* out, size_t size) noexcept : out_(out), size_(size) {}
  void put(char c) noexcept {
    if (used_ + 1 < size_) out_[used_++] = c;
  }
  void put(const char* text) noexcept {
    for (const char* p = text ? text : "(null)"; *p; ++p) put(*p);
  }
  void number(uint64_t value, unsigned base) noexcept {
    char digits[24];
    int n = 0;
    do digits[n++] = "0123456789abcdef"[value % base];
    while (value /= base);
    while (n) put(digits[--n]);
  }
  void signed_number(int64_t value) noexcept {
    if (value < 0) put('-');
    number(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10);
  }
  size_t end() noexcept {
    if (size_) out_[used_] = 0;
    return used_;
  }

 private:
  char* out_;
  size_t size_;
  size_t used_ = 0;
};

void emit(const char* format, va_list args) noexcept {
  char line[800] = "vtshim: ";
  constexpr size_t kPrefix = 8;
  size_t n = kPrefix + format_into(line + kPrefix, sizeof line - kPrefix - 1, format, args);
  line[n++] = '\n';
  for (size_t done = 0; done < n;) {
    long r = sys::raw(SYS_write, 2, line + done, n - done);
    if (r == -EINTR) continue;
    if (r <= 0) return;  // stderr is closed or full: there is nobody to tell
    done += (size_t)r;
  }
}

}  // namespace

size_t format_into(char* out, size_t size, const char* format, va_list args) noexcept {
  Writer w(out, size);
  for (const char* p = format; *p; ++p) {
    if (*p != '%') {
      w.put(*p);
      continue;
    }
    ++p;
    int longs = 0;
    while (*p == 'l' || *p == 'z') ++longs, ++p;
    switch (*p) {
      case 's': w.put(va_arg(args, const char*)); break;
      case 'c': w.put((char)va_arg(args, int)); break;
      case 'd': w.signed_number(longs ? va_arg(args, int64_t) : va_arg(args, int)); break;
      case 'u': w.number(longs ? va_arg(args, uint64_t) : va_arg(args, unsigned), 10); break;
      case 'x': w.number(longs ? va_arg(args, uint64_t) : va_arg(args, unsigned), 16); break;
      case 'p': w.put("0x"), w.number(va_arg(args, uint64_t), 16); break;
      case '%': w.put('%'); break;
      default: return w.end();
    }
  }
  return w.end();
}

size_t print_into(char* out, size_t size, const char* format, ...) noexcept {
  va_list args;
  va_start(args, format);
  size_t n = format_into(out, size, format, args);
  va_end(args);
  return n;
}

// Tables in libc, without a lock or a translation.
ErrorText::ErrorText(int error) noexcept {
  const char *name = strerrorname_np(error), *description = strerrordesc_np(error);
  if (name && description) print_into(text_, sizeof text_, "%s (%s)", description, name);
  else print_into(text_, sizeof text_, "error %d", error);
}
SignalName::SignalName(int signal) noexcept {
  constexpr int kFirst = 34;  // SIGRTMIN
  const char* name = sigabbrev_np(signal);
  if (name) print_into(text_, sizeof text_, "SIG%s", name);
  else if (signal >= kFirst && signal < _NSIG) print_into(text_, sizeof text_, signal == kFirst ? "SIGRTMIN" : "SIGRTMIN+%d", signal - kFirst);
  else print_into(text_, sizeof text_, "signal %d", signal);
}

void log_line(LogLevel level, const char* format, ...) noexcept {
  if (log_level < level) return;
  va_list args;
  va_start(args, format);
  emit(format, args);
  va_end(args);
}

void complain(const char* format, ...) noexcept {
  va_list args;
  va_start(args, format);
  emit(format, args);
  va_end(args);
}

void fail_check(const char* expression, const char* file, int line) noexcept {
  complain("internal error: %s (%s:%d)", expression, file, line);
  if (auto report = __atomic_exchange_n(&report_state, nullptr, __ATOMIC_RELAXED)) report();  // once: it may fail itself
  __builtin_trap();
}

}  // namespace vt
