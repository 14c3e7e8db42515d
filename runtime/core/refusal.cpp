#include "core/refusal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <atomic>

#include "api.h"
#include "base/config.h"
#include "base/log.h"
#include "sys/raw.h"

namespace vt {
namespace {

std::atomic<const char*> refused_call{nullptr};
std::atomic<bool> told_late{false}, told_native{false};

/// The start of a small file; empty if it can't be read.
void read_start(const char* path, char* text, size_t size) noexcept {
  text[0] = 0;
  long fd = sys::raw(SYS_open, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  long n = sys::raw(SYS_read, fd, text, size - 1);
  sys::raw(SYS_close, fd);
  text[n > 0 ? n : 0] = 0;
}

bool is_filtered() noexcept {
  char text[3072];
  read_start("/proc/self/status", text, sizeof text);
  const char* line = strstr(text, "\nSeccomp:\t");
  return line && line[10] == '2';
}

/// As a clause; `error` is EPERM, EACCES or ENOSYS.
const char* cause(int error) noexcept {
  char text[8];
  read_start("/proc/sys/kernel/io_uring_disabled", text, sizeof text);
  bool filtered = is_filtered();
  if (error == EPERM && text[0] == '2') return "the sysctl kernel.io_uring_disabled is 2; as root: sysctl kernel.io_uring_disabled=0";
  if (error == EPERM && text[0] == '1' && !filtered)
    return "the sysctl kernel.io_uring_disabled is 1: only for CAP_SYS_ADMIN and kernel.io_uring_group; as root: sysctl kernel.io_uring_disabled=0";
  if (filtered)
    return "by a seccomp filter, as Docker's and containerd's profiles have it; --security-opt seccomp=unconfined, or a profile that permits "
           "io_uring_setup, io_uring_enter and io_uring_register";
  if (error == ENOSYS) return "this kernel has none (CONFIG_IO_URING); Linux 5.11 or newer has it as a rule";
  return "perhaps by a security module (SELinux, AppArmor); see the kernel's log";
}

bool is_refusal(int error) noexcept { return error == EPERM || error == EACCES || error == ENOSYS; }

}  // namespace

void refusal_note_call(const char* call) noexcept { refused_call.store(call, std::memory_order_relaxed); }

void refusal_tell(int error) noexcept {
  const char* call = refused_call.load(std::memory_order_relaxed);
  ErrorText text(error);
  if (call && is_refusal(error)) complain("threads stay native: %s is refused, %s: %s", call, text.text(), cause(error));
  else complain("threads stay native: %s can't be had: %s", call ? "io_uring" : "a carrier's OS thread", text.text());
}

void refusal_tell_other_way(int error) noexcept {
  ErrorText text(error);
  const char* call = refused_call.load(std::memory_order_relaxed);
  VT_LOG(kInfo, "threads wait by epoll, since %s is refused, %s: %s", call ? call : "io_uring", text.text(), is_refusal(error) ? cause(error) : "unexpected");
}

void refusal_tell_late(int error) noexcept {
  if (told_late.exchange(true, std::memory_order_relaxed)) return;
  ErrorText text(error);
  complain("io_uring_enter is refused from now on, %s: %s. Calls that wait on descriptors fail so; those that wait already don't end", text.text(),
           cause(error));
}

bool refusal_by_valgrind() noexcept {
  // A request of valgrind's: four rotations that come to nothing, an exchange that is one. On a CPU rax and rdx aren't touched.
  const uint64_t request[6] = {0x1001 /* RUNNING_ON_VALGRIND */};
  uint64_t answer = 0;
  asm volatile(
      "rolq $3, %%rdi\n\trolq $13, %%rdi\n\trolq $61, %%rdi\n\trolq $51, %%rdi\n\t"
      "xchgq %%rbx, %%rbx"
      : "+d"(answer)
      : "a"(request)
      : "cc", "memory", "rdi");
  return answer != 0;
}

void native_tell() noexcept {
  if (!config.threads || !refusal_by_valgrind() || told_native.exchange(true, std::memory_order_relaxed)) return;
  complain("threads stay native: under valgrind virtual ones can't run");
}

}  // namespace vt
