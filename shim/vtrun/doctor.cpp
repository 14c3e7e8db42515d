#include "shim/vtrun/doctor.h"

#include <errno.h>
#include <fnmatch.h>
#include <gnu/libc-version.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "runtime/base/config.h"
#include "shim/vtrun/binary.h"

namespace vtrun {
namespace {

enum class Status { kOk, kNote, kProblem };
constexpr const char* kWords[] = {"ok", "note", "problem"};

struct Check {
  std::string name;
  Status status;
  std::string text, advice;  // advice: empty where there is nothing to do
};
using Checks = std::vector<Check>;

/// A small file's first line; empty if it can't be read.
std::string first_line(const char* path) {
  FILE* f = fopen(path, "re");
  char line[512] = "";
  if (f) {
    if (!fgets(line, sizeof line, f)) line[0] = 0;
    fclose(f);
  }
  line[strcspn(line, "\n")] = 0;
  return line;
}

std::string field_of_status(const char* name) {
  FILE* f = fopen("/proc/self/status", "re");
  std::string found;
  char line[512];
  while (f && fgets(line, sizeof line, f))
    if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':') {
      found = line + strlen(name) + 1;
      found.erase(0, found.find_first_not_of(" \t"));
      found.erase(found.find_last_not_of("\n") + 1);
    }
  if (f) fclose(f);
  return found;
}

/// 0, or the errno of the call that fails; *call names it.
int try_uring(const char** call) {
  io_uring_params params;
  memset(&params, 0, sizeof params);
  *call = "io_uring_setup";
  long fd = syscall(SYS_io_uring_setup, 4, &params);
  if (fd < 0) return errno;
  *call = "io_uring_enter";
  int error = syscall(SYS_io_uring_enter, fd, 0, 0, IORING_ENTER_GETEVENTS, nullptr, 0) < 0 ? errno : 0;
  close((int)fd);
  return error;
}

const char* why_refused(int error) {
  std::string sysctl = first_line("/proc/sys/kernel/io_uring_disabled");
  if (error == EPERM && sysctl == "2") return "the sysctl kernel.io_uring_disabled is 2; as root: sysctl kernel.io_uring_disabled=0";
  if (error == EPERM && sysctl == "1" && geteuid() != 0) return "the sysctl kernel.io_uring_disabled is 1; as root: sysctl kernel.io_uring_disabled=0";
  if (field_of_status("Seccomp") == "2")
    return "a seccomp filter, as Docker's and containerd's profiles have it; permit io_uring_setup, io_uring_enter and io_uring_register there";
  if (error == ENOSYS) return "this kernel has none; Linux 5.19 and newer have what vtshim uses";
  return "perhaps a security module (SELinux, AppArmor); the kernel's log may tell";
}

void check_kernel(Checks* out) {
  utsname name;
  uname(&name);
  int major = 0, minor = 0;
  sscanf(name.release, "%d.%d", &major, &minor);
  bool old = major < 5 || (major == 5 && minor < 4);
  out->push_back({"kernel", old ? Status::kProblem : Status::kOk, std::string("Linux ") + name.release, old ? "vtshim needs Linux 5.4 or newer" : ""});
  const char* call;
  if (int error = try_uring(&call))
    out->push_back({"io_uring", Status::kNote, std::string(call) + " is refused: " + strerror(error) + "; threads wait by epoll, which is somewhat slower",
                    std::string("to have io_uring: ") + why_refused(error)});
  else
    out->push_back({"io_uring", Status::kOk, "set up and entered", ""});
}

uint64_t now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1'000'000'000 + (uint64_t)t.tv_nsec;
}

/// ns for one of `call`, the least of some.
template <class Call>
unsigned cost(Call&& call) {
  uint64_t least = UINT64_MAX;
  for (int batch = 0; batch < 8; ++batch) {
    uint64_t begin = now();
    for (int i = 0; i < 64; ++i) call();
    if (uint64_t took = (now() - begin) / 64; took < least) least = took;
  }
  return (unsigned)least;
}

void check_switch(Checks* out) {
  constexpr int kGetFs = 0x1003, kSetFs = 0x1002;
  unsigned long fs = 0;
  syscall(SYS_arch_prctl, kGetFs, &fs);
  unsigned by_call = cost([&] { syscall(SYS_arch_prctl, kSetFs, fs); });
  char text[200];
  if (getauxval(AT_HWCAP2) & 2) {
    unsigned by_instruction = cost([&] { asm volatile("wrfsbase %0" ::"r"(fs) : "memory"); });
    snprintf(text, sizeof text, "by an instruction (FSGSBASE): %u ns; by a system call it would be %u ns", by_instruction, by_call);
    out->push_back({"switch", Status::kOk, text, ""});
  } else {
    snprintf(text, sizeof text, "each switch to another thread needs a system call: %u ns", by_call);
    out->push_back({"switch", Status::kNote, text, "for programs that wait for much I/O try VTSHIM_TLS=swap; README says what that can't do"});
  }
}

void check_libc(Checks* out) {
  const char* version = gnu_get_libc_version();
  int major = 0, minor = 0;
  sscanf(version, "%d.%d", &major, &minor);
  bool old = major == 2 && minor < 34, newer = minor > 43;
  out->push_back({"glibc", old ? Status::kProblem : newer ? Status::kNote : Status::kOk, version,
                  old ? "vtshim needs glibc 2.34 or newer; programs run natively" : newer ? "tried up to 2.43" : ""});
}

void check_limit(Checks* out, const char* name, uint64_t is, uint64_t wanted, const char* advice) {
  char text[100];
  if (is == RLIM_INFINITY) snprintf(text, sizeof text, "unlimited");
  else snprintf(text, sizeof text, "%llu", (unsigned long long)is);
  out->push_back({name, is < wanted ? Status::kNote : Status::kOk, text, is < wanted ? advice : ""});
}

void check_limits(Checks* out) {
  rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  check_limit(out, "descriptors", limit.rlim_cur, 16384, "each connection takes one: ulimit -n 65536, or LimitNOFILE= in a systemd unit");
  getrlimit(RLIMIT_NPROC, &limit);
  check_limit(out, "OS threads", limit.rlim_cur, 64, "vtshim needs an OS thread for each CPU, two of its own, and one for each call that it can't see into");
  if (std::string most = first_line("/sys/fs/cgroup/pids.max"); !most.empty() && most != "max")
    check_limit(out, "OS threads in this control group", strtoull(most.c_str(), nullptr, 10), 64, "raise pids.max (docker run --pids-limit, TasksMax=)");
  check_limit(out, "mappings", strtoull(first_line("/proc/sys/vm/max_map_count").c_str(), nullptr, 10), 65530,
              "with more than 30,000 threads on a kernel before 6.13: sysctl vm.max_map_count=1000000");
  if (first_line("/proc/sys/vm/overcommit_memory") == "2")
    out->push_back({"overcommit", Status::kNote, "vm.overcommit_memory is 2: stacks count with their whole size",
                    "smaller stacks: VTSHIM_STACK=256K, say; or sysctl vm.overcommit_memory=0"});
}

/// A setting's default, out of the one table.
std::string default_of(const char* setting) {
  static const char* wanted;
  static std::string found;
  wanted = setting;
  found.clear();
  vt::each_setting([](const char* name, const char* fallback, const char*, const char*) {
    if (!strcmp(name, wanted)) found = fallback;
  });
  return found;
}

bool matches(const std::string& patterns, const std::string& name) {
  for (size_t at = 0; at < patterns.size();) {
    size_t end = std::min(patterns.find(':', at), patterns.size());
    if (fnmatch(patterns.substr(at, end - at).c_str(), name.c_str(), 0) == 0) return true;
    at = end + 1;
  }
  return false;
}

void check_libraries(Checks* out, const Binary& b) {
  for (const std::string& library : b.needed) {
    if (matches(default_of("VTSHIM_NATIVE_LIBS"), library))
      out->push_back({"library", Status::kNote, library + ": the threads that it starts stay native (VTSHIM_NATIVE_LIBS)", ""});
    if (matches(default_of("VTSHIM_PIN_LIBS"), library))
      out->push_back({"library", Status::kNote, library + ": the threads that it starts stay on their OS threads (VTSHIM_PIN_LIBS)", ""});
    if (matches("libjemalloc*:libmimalloc*:libtcmalloc*", library))
      out->push_back({"allocator", Status::kOk, library, matches("libtcmalloc*", library) ? "" : "VTSHIM_TLS=swap isn't for it"});
  }
}

bool check_program(Checks* out, const char* name) {
  bool denied;
  std::string path = find_program(name, &denied);
  if (path.empty()) {
    out->push_back({"program", Status::kProblem, std::string(name) + (denied ? ": permission denied" : ": not found"), "give its path"});
    return false;
  }
  Binary first = look_at(path), b = look_behind_scripts(path);
  std::string text = path;
  if (first.kind == Kind::kScript) text += ", a script for " + b.path;
  if (std::string why = obstacle(b); !why.empty()) {
    out->push_back({"program", Status::kProblem, text + " " + why.substr(0, why.find("; ")), why.find("; ") == std::string::npos ? "" : why.substr(why.find("; ") + 2)});
    return false;
  }
  if (!b.readable) out->push_back({"program", Status::kNote, text + " can't be read, so it isn't known what it is", ""});
  else out->push_back({"program", Status::kOk, text + (b.libc == Libc::kGlibc ? ", dynamically linked with glibc" : ""), ""});
  check_libraries(out, b);
  return true;
}

void check_library(Checks* out, const char* library) {
  bool there = access(library, R_OK) == 0, takes = !strpbrk(library, " :");
  out->push_back({"vtshim", there && takes ? Status::kOk : Status::kProblem, std::string(library) + (there ? ", version " VTSHIM_VERSION : " is missing"),
                  !there ? "build or install vtshim" : takes ? "" : "LD_PRELOAD can't take a path with a space or colon: move or install it"});
}

std::string quoted(const std::string& s) {
  std::string out = "\"";
  for (char c : s) {
    char code[8];
    if (c == '"' || c == '\\') out += '\\', out += c;
    else if ((unsigned char)c < 32 || (unsigned char)c > 126) snprintf(code, sizeof code, "\\u%04x", (unsigned char)c), out += code;
    else out += c;
  }
  return out + "\"";
}

void print(const Checks& checks, bool json) {
  if (json) fputs("{\"version\": \"" VTSHIM_VERSION "\", \"checks\": [", stdout);
  for (size_t i = 0; i < checks.size(); ++i) {
    const Check& c = checks[i];
    const char* word = kWords[(int)c.status];
    if (json)
      printf("%s\n  {\"name\": %s, \"status\": \"%s\", \"text\": %s, \"advice\": %s}", i ? "," : "", quoted(c.name).c_str(), word, quoted(c.text).c_str(),
             quoted(c.advice).c_str());
    else
      printf("%-8s%s: %s%s%s\n", word, c.name.c_str(), c.text.c_str(), c.advice.empty() ? "" : "\n        -> ", c.advice.c_str());
  }
  if (json) fputs("\n]}\n", stdout);
}

}  // namespace

int doctor(int count, char** arguments, const char* library) {
  bool json = false;
  const char* program = nullptr;
  for (int i = 0; i < count; ++i) {
    if (!strcmp(arguments[i], "--json")) json = true;
    else if (arguments[i][0] == '-' || program) return fputs("usage: vtrun doctor [--json] [PROGRAM]\n", stderr), 2;
    else program = arguments[i];
  }
  Checks checks;
  check_kernel(&checks);
  check_switch(&checks);
  check_libc(&checks);
  check_limits(&checks);
  check_library(&checks, library);
  if (program) check_program(&checks, program);
  print(checks, json);
  for (const Check& c : checks)
    if (c.status == Status::kProblem) return 1;
  return 0;
}

}  // namespace vtrun
