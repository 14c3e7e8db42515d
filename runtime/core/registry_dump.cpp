// The registry as text, by raw writes from a small buffer on the stack: registry_dump() and VTSHIM_DUMP_SIGNAL. Layer: core.
// @thread any @signal safe: no lock, no allocation, no thread-local variable, no errno.
#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "api.h"
#include "base/assert.h"
#include "base/config.h"
#include "base/log.h"
#include "core/carrier.h"
#include "core/ending.h"
#include "core/libc_calls.h"
#include "core/registry.h"
#include "core/vthread.h"
#include "sys/clock.h"
#include "sys/raw.h"

namespace vt {
namespace {

/// Lines to a descriptor: whole ones in each write, so that two writers don't cut each other's.
class Lines {
 public:
  explicit Lines(int fd) noexcept : fd_(fd) {}

  void begin() noexcept {
    if (used_ + kLongest > sizeof text_) flush();
    put("vtshim: ");
  }
  void end() noexcept { text_[used_++] = '\n'; }
  template <class... A>
  void put(const char* format, A... args) noexcept {
    used_ += print(text_ + used_, sizeof text_ - used_ - 1, format, args...);
  }
  /// Seconds, to the millisecond.
  void seconds(uint64_t ns) noexcept {
    uint64_t ms = ns / 1'000'000 % 1000;
    put("%lu.%s%lu s", ns / sys::kSecond, ms < 10 ? "00" : ms < 100 ? "0" : "", ms);
  }
  void thread(pid_t id, const char* name) noexcept {
    put("%d", id);
    if (!name[0]) return;
    put(" \"");
    for (const char* p = name; *p; ++p) put("%c", (unsigned char)*p < ' ' || *p == '"' ? '?' : *p);
    put("\"");
  }
  int flush() noexcept {
    for (size_t done = 0; done < used_ && result_ == 0;) {
      long r = sys::raw(SYS_write, fd_, text_ + done, used_ - done);
      if (r == -EINTR) continue;
      if (r == -EAGAIN) {  // the program made it non-blocking: a second for its reader
        pollfd p{fd_, POLLOUT, 0};
        timespec limit{1, 0};
        if (sys::raw(SYS_ppoll, &p, 1, &limit, nullptr, 8) > 0) continue;
      }
      if (r <= 0) result_ = r ? (int)r : -EIO;
      else done += (size_t)r;
    }
    used_ = 0;
    return result_;
  }

 private:
  static size_t print(char* out, size_t size, const char* format, ...) noexcept {
    va_list args;
    va_start(args, format);
    size_t n = format_into(out, size, format, args);
    va_end(args);
    return n;
  }
  static constexpr size_t kLongest = 400;  // of a line
  int fd_;
  int result_ = 0;
  size_t used_ = 0;
  char text_[1600];
};

void head(Lines& out) noexcept {
  uint32_t counts[(int)Doing::kCount] = {}, all = 0;
  for (uint32_t i = 0, n = registry_count(); i <= n; ++i) {
    Doing d = registry_doing(i < n ? i : kMainSlot);
    if (d == Doing::kCount) continue;
    ++counts[(int)d];
    ++all;
  }
  unsigned carriers = carrier_count();
  out.begin();
  out.put("pid %d: %u virtual threads:", (int)sys::raw(SYS_getpid), all);
  for (int i = 0; i < (int)Doing::kCount; ++i) out.put("%s %u %s", i ? "," : "", counts[i], kDoingNames[i]);
  out.put("; %u carriers", carriers);
  out.end();
  for (unsigned i = 0; i < carriers; ++i) {
    Carrier* c = carrier_at(i);
    out.begin();
    out.put("carrier %u (tid %d%s): ", i, __atomic_load_n(&c->os_tid, __ATOMIC_RELAXED), c->is_main ? ", main's" : "");
    VThread* v = __atomic_load_n(&c->running, __ATOMIC_ACQUIRE);
    if (c->idle.load(std::memory_order_relaxed)) {
      out.put("idle");
    } else if (v) {
      char name[16] = {};
      if (!v->is_main) v->get_name(name);
      out.put("runs ");
      out.thread(v->id.load(std::memory_order_relaxed), v->is_main ? "main" : name);
      if (c->stuck.load(std::memory_order_relaxed)) out.put(", stuck");
    } else {
      out.put("between threads");
    }
    out.put(", %u queued, %u operations in flight", c->queue.size(), c->reactor.in_flight());
    out.end();
  }
}

void what_for(Lines& out, const ThreadInfo& t, uint64_t now) noexcept {
  const char* kind = (int)t.reason < (int)ParkReason::kCount ? kParkReasonNames[(int)t.reason] : "?";
  out.put(" for %s", kind);
  for (uint32_t i = 0; i < t.fd_count && i < 4; ++i) out.put("%s%d", i ? ", " : " fd ", t.fds[i]);
  if (t.fd_count > 4) out.put(" and %u more", t.fd_count - 4);
  if (t.for_all) out.put(" of all others");
  if (t.reason == ParkReason::kJoin) {
    if (t.holder) out.put(" of "), out.thread(t.holder, t.holder_name);
  } else {
    if (t.object) out.put(" %p", t.object);
    if (t.mutex) out.put(t.in_mutex ? ", signalled, now for mutex %p" : " with mutex %p", t.mutex);
    if (t.holder) {
      out.put(t.reason == ParkReason::kRwlock ? ", written by " : ", held by ");
      out.thread(t.holder, t.holder_name);
    }
    if (t.readers) out.put(", held by %u reader%s", t.readers, t.readers == 1 ? "" : "s");
  }
  if (t.deadline == sys::kForever) return;
  if (t.deadline <= now) return out.put(", time is up");
  out.put(", ");
  out.seconds(t.deadline - now);
  out.put(" left");
}

void line(Lines& out, const ThreadInfo& t, uint64_t now) noexcept {
  out.begin();
  out.put("thread ");
  out.thread(t.id, t.name);
  out.put("%s: %s", t.is_main ? " (main)" : "", kDoingNames[(int)t.doing]);
  if (t.reason != ParkReason::kNone) what_for(out, t, now);
  out.put("; since ");
  out.seconds(now > t.since ? now - t.since : 0);
  if (t.carrier >= 0) out.put(", carrier %d (tid %d)", t.carrier, t.os_tid);
  else if (t.os_tid) out.put(", tid %d", t.os_tid);
  out.end();
}

void on_signal(int, siginfo_t*, void*) noexcept {
  registry_dump(2);
  ending_tell();
}

}  // namespace

int registry_dump(int fd) noexcept {
  Lines out(fd);
  head(out);
  uint64_t now = sys::now();
  ThreadInfo t;
  for (uint32_t i = 0, n = registry_count(); i <= n; ++i)  // main first
    if (registry_snapshot(i ? i - 1 : kMainSlot, &t)) line(out, t, now);
  return out.flush();
}

int dump(int fd) noexcept { return registry_dump(fd); }

void dump_install() noexcept {
  report_state = []() noexcept { registry_dump(2); };
  if (!config.dump_signal) return;
  struct sigaction action {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  if (libc_calls.sigaction(config.dump_signal, &action, nullptr))
    complain("VTSHIM_DUMP_SIGNAL: %s can't be handled", SignalName(config.dump_signal).text());
}

bool is_dump_handler(void (*handler)(int, siginfo_t*, void*)) noexcept { return handler == on_signal; }

}  // namespace vt
