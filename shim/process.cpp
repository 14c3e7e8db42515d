// Children and signals: what a process inherits must be the program's, not the carrier's. fork needs no wrapper: glibc's own
// runs on the caller's thread area, and the runtime's atfork handlers do the rest (core/runtime.cpp).
#include <stdarg.h>

#include "shim/os_thread.h"
#include "shim/real.h"

using vt::shim::cancellation_point;
using vt::shim::errno_result;

extern "C" void vt_once_watch_forks(void);

namespace {

/// The calling OS thread's mask is the virtual thread's while this stands.
class ExposedMask {
 public:
  ExposedMask() : on_(vt::has_virtual_signals()) {
    if (on_) vt::mask_expose(&saved_);
  }
  ~ExposedMask() {
    int e = errno;
    if (on_) vt::mask_restore(&saved_);
    errno = e;
  }

 private:
  bool on_;
  sigset_t saved_;
};

/// Around an exec that may fail.
class Exec {
 public:
  Exec() : begun_(vt::exec_begins()) {}
  ~Exec() {
    int e = errno;
    vt::exec_failed(begun_);
    errno = e;
  }

 private:
  ExposedMask mask_;
  bool begun_;
};

/// The arguments of an execl call: counted, then copied onto the stack by the macro below.
int count_arguments(va_list args) {
  int n = 1;
  while (va_arg(args, char*)) ++n;
  return n;
}

}  // namespace

VT_EXPORT int execve(const char* path, char* const argv[], char* const env[]) {
  Exec around;
  return VT_REAL(execve)(path, argv, env);
}
VT_EXPORT int execv(const char* path, char* const argv[]) {
  Exec around;
  return VT_REAL(execv)(path, argv);
}
VT_EXPORT int execvp(const char* file, char* const argv[]) {
  Exec around;
  return VT_REAL(execvp)(file, argv);
}
VT_EXPORT int execvpe(const char* file, char* const argv[], char* const env[]) {
  Exec around;
  return VT_REAL(execvpe)(file, argv, env);
}
VT_EXPORT int fexecve(int fd, char* const argv[], char* const env[]) {
  Exec around;
  return VT_REAL(fexecve)(fd, argv, env);
}
#define VT_ARGV                                                   \
  va_list args;                                                   \
  va_start(args, first);                                          \
  int n = count_arguments(args);                                  \
  va_end(args);                                                   \
  char* argv[n + 1];                                              \
  argv[0] = const_cast<char*>(first);                             \
  va_start(args, first);                                          \
  for (int i = 1; i <= n; ++i) argv[i] = va_arg(args, char*)
#pragma GCC diagnostic ignored "-Wvla"
VT_EXPORT int execl(const char* path, const char* first, ...) {
  VT_ARGV;
  va_end(args);
  return execv(path, argv);
}
VT_EXPORT int execlp(const char* path, const char* first, ...) {
  VT_ARGV;
  va_end(args);
  return execvp(path, argv);
}
VT_EXPORT int execle(const char* path, const char* first, ...) {
  VT_ARGV;
  char** env = va_arg(args, char**);
  va_end(args);
  return execve(path, argv, env);
}
VT_EXPORT int execveat(int folder, const char* path, char* const argv[], char* const env[], int flags) {
  Exec around;
  return VT_REAL(execveat)(folder, path, argv, env, flags);
}

VT_EXPORT int posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions, const posix_spawnattr_t* attr,
                          char* const argv[], char* const env[]) {
  ExposedMask mask;
  return VT_REAL(posix_spawn)(pid, path, actions, attr, argv, env);
}
VT_EXPORT int posix_spawnp(pid_t* pid, const char* file, const posix_spawn_file_actions_t* actions, const posix_spawnattr_t* attr,
                           char* const argv[], char* const env[]) {
  ExposedMask mask;
  return VT_REAL(posix_spawnp)(pid, file, actions, attr, argv, env);
}
VT_EXPORT FILE* popen(const char* command, const char* mode) {
  ExposedMask mask;
  return VT_REAL(popen)(command, mode);
}
VT_EXPORT int system(const char* command) {
  if (!vt::can_park()) return VT_REAL(system)(command);
  int r = -1;
  vt::blocking([&] {
    ExposedMask mask;
    r = VT_REAL(system)(command);
  });
  return r;
}

// ---------------------------------------------------------------- vfork
// The child runs on our stack, in our memory, until it execs: so this can't be a C++ function. The return address waits in a
// register that the kernel preserves; a virtual thread is marked before, and the parent takes the mark off.

extern "C" __attribute__((used, visibility("hidden"))) void vt_vfork_enter() { vt::vfork_enter(); }
extern "C" __attribute__((used, visibility("hidden"))) void vt_vfork_leave() { vt::vfork_leave(); }
extern "C" __attribute__((used, visibility("hidden"))) void vt_vfork_in_child() { vt::vfork_in_child(); }
extern "C" __attribute__((used, visibility("hidden"))) int* vt_errno() { return &errno; }
asm(R"(
    .text
    .globl vfork
    .type vfork, @function
vfork:
    .cfi_startproc
    endbr64
    subq $8, %rsp
    .cfi_adjust_cfa_offset 8
    call vt_vfork_enter
    addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    popq %rdi
    .cfi_adjust_cfa_offset -8
    .cfi_register %rip, %rdi
    movl $58, %eax
    syscall
    pushq %rdi
    .cfi_adjust_cfa_offset 8
    pushq %rax
    .cfi_adjust_cfa_offset 8
    testl %eax, %eax
    jz 2f
    call vt_vfork_leave
    jmp 3f
2:  call vt_vfork_in_child
3:  popq %rax
    .cfi_adjust_cfa_offset -8
    testl %eax, %eax
    jns 1f
    negl %eax
    pushq %rax
    .cfi_adjust_cfa_offset 8
    call vt_errno
    popq %rcx
    .cfi_adjust_cfa_offset -8
    movl %ecx, (%rax)
    movl $-1, %eax
1:  ret
    .cfi_endproc
    .size vfork, .-vfork
    .globl __vfork
    .set __vfork, vfork
)");

// ---------------------------------------------------------------- children that fork's handlers don't see: _Fork(3), clone(2), fork by syscall(2)

namespace {
struct CloneStart {
  int (*function)(void*);
  void* argument;
};
int start_copy(void* start) {
  vt::fork_ends_in_child();
  auto* s = static_cast<CloneStart*>(start);
  return s->function(s->argument);
}
int start_in_memory(void* start) {
  vt::vfork_in_child();
  auto* s = static_cast<CloneStart*>(start);
  return s->function(s->argument);
}
}  // namespace

// exit(3) runs our destructor; these run nothing.
VT_EXPORT void _exit(int status) {
  vt::process_ends();
  VT_REAL(_exit)(status);
  __builtin_unreachable();
}
VT_EXPORT void _Exit(int status) { _exit(status); }
// What pthread_atfork(3) is in the program and in each library. Ours are the first, also before those of a constructor that runs before ours.
VT_EXPORT int __register_atfork(void (*prepare)(), void (*parent)(), void (*child)(), void* library) {
  vt::boot();
  vt_once_watch_forks();
  return VT_REAL(__register_atfork)(prepare, parent, child, library);
}
VT_EXPORT pid_t _Fork() {
  return (pid_t)vt::shim::forked([] { return (long)VT_REAL(_Fork)(); });
}
// A child with memory of its own is a forked one. One that has ours and our thread pointer mustn't park. With a thread pointer of its own it's a platform thread, or none of our business.
VT_EXPORT int clone(int (*function)(void*), void* stack, int flags, void* argument, ...) {
  va_list list;
  va_start(list, argument);
  auto* parent_id = va_arg(list, pid_t*);
  void* area = va_arg(list, void*);
  auto* child_id = va_arg(list, pid_t*);
  va_end(list);
  auto call = [&](int (*f)(void*), void* a) { return VT_REAL(clone)(f, stack, flags, a, parent_id, area, child_id); };
  if ((flags & CLONE_SETTLS) || !function || !stack) return call(function, argument);
  if (!(flags & CLONE_VM)) {
    CloneStart start{function, argument};
    return (int)vt::shim::forked([&] { return (long)call(start_copy, &start); });
  }
  bool suspended = flags & CLONE_VFORK;
  if (suspended) vt::vfork_enter();
  else if (int r = vt::vfork_stay(); r < 0) return (int)errno_result(r);
  auto* start = (CloneStart*)((uintptr_t)stack & ~15ull) - 1;  // on the child's stack: we may have returned before it looks
  *start = {function, argument};
  stack = start;
  int pid = call(start_in_memory, start);
  if (suspended) vt::vfork_leave();
  return pid;
}
VT_EXPORT int __clone(int (*function)(void*), void* stack, int flags, void* argument, ...) __attribute__((alias("clone"), nothrow));

// ---------------------------------------------------------------- waiting for children

VT_EXPORT pid_t wait4(pid_t pid, int* status, int options, struct rusage* usage) {
  if (!vt::can_park()) return VT_REAL(wait4)(pid, status, options, usage);
  cancellation_point();
  return (pid_t)errno_result(vt::io_wait4(pid, status, options, usage));
}
VT_EXPORT pid_t waitpid(pid_t pid, int* status, int options) {
  if (!vt::can_park()) return VT_REAL(waitpid)(pid, status, options);
  return wait4(pid, status, options, nullptr);
}
VT_EXPORT pid_t __waitpid(pid_t pid, int* status, int options) { return waitpid(pid, status, options); }
VT_EXPORT pid_t wait(int* status) { return waitpid(-1, status, 0); }
VT_EXPORT pid_t __wait(int* status) { return wait(status); }
VT_EXPORT pid_t wait3(int* status, int options, struct rusage* usage) { return wait4(-1, status, options, usage); }
VT_EXPORT int waitid(idtype_t type, id_t id, siginfo_t* info, int options) {
  if (!vt::can_park()) return VT_REAL(waitid)(type, id, info, options);
  cancellation_point();
  return (int)errno_result(vt::io_waitid(type, id, info, options, nullptr));
}
