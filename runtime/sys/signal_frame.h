// A signal's frame as the kernel lays it, and its way to another stack: from the OS thread's signal stack to where the interrupted thread would have it natively. Layer: sys.
#pragma once

#include <signal.h>
#include <stdint.h>
#include <ucontext.h>

namespace vt::sys {

/// As the kernel's rt_sigframe: what its return from a handler reads, and what unwinders, debuggers and collectors that scan stacks expect.
struct SignalFrame {
  static constexpr unsigned kContext = 304;  // the kernel's ucontext, whose signal mask has 8 bytes
  void (*restorer)();
  alignas(8) char context[kContext];
  siginfo_t info;

  ucontext_t* uc() noexcept { return reinterpret_cast<ucontext_t*>(context); }
};

/// In a kernel's handler, with all signals blocked: when it returns, `run(frame)` begins on the stack below `top`, with all signals blocked, and when that returns, what
/// was interrupted goes on, as the frame's context says by then. @signal safe
void move_signal_frame(ucontext_t* uc, const siginfo_t& info, char* top, void (*run)(SignalFrame*)) noexcept;

}  // namespace vt::sys
