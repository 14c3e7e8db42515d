#include "core/ending.h"

#include <errno.h>
#include <unistd.h>

#include <atomic>

#include "base/config.h"
#include "base/log.h"
#include "core/blocking.h"
#include "core/carrier.h"
#include "core/libc_calls.h"
#include "core/runtime.h"
#include "core/scheduler.h"
#include "sys/raw.h"

extern "C" int __cxa_at_quick_exit(void (*)(void*), void*);
extern "C" void* __dso_handle __attribute__((visibility("hidden")));

namespace vt {
namespace {

/// Told for: a forked child is another one. 0: no thread yet.
std::atomic<pid_t> told_pid{0};
std::atomic<bool> ended{false};
char program[40];

pid_t pid() noexcept { return (pid_t)sys::raw(SYS_getpid); }

void on_end(int signal, siginfo_t*, void*) noexcept {
  ending_tell_last();
  struct {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)();
    uint64_t mask;
  } by_default{};
  sys::raw(SYS_rt_sigaction, signal, &by_default, nullptr, sizeof by_default.mask);
  sys::raw(SYS_tgkill, pid(), (pid_t)sys::raw(SYS_gettid), signal);  // not blocked: SA_NODEFER
}

/// What the program asked for when it asked for the default.
struct Watched {
  int signal;
  struct sigaction asked;
};
Watched watched[] = {{SIGHUP, {}}, {SIGINT, {}}, {SIGQUIT, {}}, {SIGTERM, {}}};
std::atomic<bool> watching{false};

Watched* find(int signal) noexcept {
  if (!watching.load(std::memory_order_acquire)) return nullptr;  // pairs with ending_watch's release
  for (Watched& w : watched)
    if (w.signal == signal) return &w;
  return nullptr;
}

struct sigaction ours() noexcept {
  struct sigaction a {};
  a.sa_sigaction = on_end;
  a.sa_flags = (int)(SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER);
  return a;
}

/// Before the line, so that who has read it may end us.
void watch_ends() noexcept {
  __cxa_at_quick_exit([](void*) { ending_tell_last(); }, &__dso_handle);
  if (pid() == 1) return;  // whom signals with their default action don't end
  watching.store(true, std::memory_order_release);
  for (Watched& w : watched) {
    struct sigaction now, mine = ours();
    if (libc_calls.sigaction(w.signal, nullptr, &now) || now.sa_handler != SIG_DFL) continue;
    w.asked = now;
    libc_calls.sigaction(w.signal, &mine, nullptr);
  }
}

}  // namespace

bool is_ending_handler(void (*handler)(int, siginfo_t*, void*)) noexcept { return handler == on_end; }

int ending_sigaction(int signal, const struct sigaction* action, struct sigaction* old) noexcept {
  Watched* w = find(signal);
  if (!w) return libc_calls.sigaction(signal, action, old);
  bool by_default = action && action->sa_handler == SIG_DFL;
  struct sigaction wanted, before, asked = w->asked;
  if (action) wanted = *action;
  if (by_default) {
    w->asked = wanted;
    wanted = ours();
  }
  if (libc_calls.sigaction(signal, action ? &wanted : nullptr, &before)) return -1;
  if (old) *old = before.sa_sigaction == on_end ? asked : before;
  return 0;
}

void ending_watch() noexcept {
  if (log_level < LogLevel::kInfo || told_pid.load(std::memory_order_relaxed) == pid()) return;
  bool first = told_pid.load(std::memory_order_relaxed) == 0;
  print_into(program, sizeof program, "%s", program_invocation_short_name ? program_invocation_short_name : "?");
  told_pid.store(pid(), std::memory_order_relaxed);
  ended.store(false, std::memory_order_relaxed);
  if (first) watch_ends();  // a forked child inherits that
  log_line(LogLevel::kInfo, "version %s makes the threads of %s (pid %d) virtual: tls=%s, reactor=%s, %u carriers", VTSHIM_VERSION, program, pid(),
           word_for(chosen_mount()), by_readiness ? "epoll" : "io_uring", carrier_target());
}

void ending_tell() noexcept {
  if (log_level < LogLevel::kInfo || told_pid.load(std::memory_order_relaxed) != pid()) return;
  uint64_t switches = 0, submissions = 0, operations = 0, steals = 0, mounts = 0, kicks = 0, ejects = 0, pins = 0, pinned_parks = 0;
  uint64_t parks[(int)ParkReason::kCount] = {};
  unsigned carriers = carrier_objects();
  for (unsigned i = 0; i < carriers; ++i) {
    Carrier* c = carrier_at(i);
    switches += c->switches.load(std::memory_order_relaxed);
    submissions += c->reactor.submissions;
    operations += c->reactor.operations;
    steals += c->steals;
    mounts += c->mounts;
    kicks += c->kicks;
    ejects += c->ejects;
    pins += c->pins;
    pinned_parks += c->pinned_parks;
    for (int r = 0; r < (int)ParkReason::kCount; ++r) parks[r] += c->parks[r];
  }
  char line[400];
  size_t used = 0;
  for (int r = 0; r < (int)ParkReason::kCount; ++r)
    if (parks[r]) used += print_into(line + used, sizeof line - used, " %s=%lu", kParkReasonNames[r], parks[r]);
  line[used] = 0;
  log_line(LogLevel::kInfo,
           "pid=%d program=%s vthreads=%lu carriers=%u tls=%s blocking=%u switches=%lu mounts=%lu submissions=%lu operations=%lu steals=%lu kicks=%lu "
           "ejects=%lu pins=%lu pinned_parks=%lu parks:%s",
           pid(), program, threads_here(), carriers, word_for(chosen_mount()), blocking_threads_started(), switches, mounts, submissions, operations, steals,
           kicks, ejects, pins, pinned_parks, line);
}

void ending_tell_last() noexcept {
  if (told_pid.load(std::memory_order_relaxed) == pid() && !ended.exchange(true, std::memory_order_relaxed)) ending_tell();
}

}  // namespace vt
