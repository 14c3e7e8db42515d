// The context switch: Boost.Context's fcontext, with what the sanitizers need to follow it. Layer: sys.
// @thread carrier
#pragma once

#include <boost/context/detail/fcontext.hpp>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace vt::sys {

using Context = boost::context::detail::fcontext_t;
using Transfer = boost::context::detail::transfer_t;
using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;

/// What a sanitizer knows of a context. Nothing without one.
struct Fiber {
#if defined(__SANITIZE_THREAD__)
  void* tsan = nullptr;
#elif defined(__SANITIZE_ADDRESS__)
  void* fake_stack = nullptr;
  const void* low = nullptr;
  size_t size = 0;
#endif
};

/// Stands around the jump: tells the sanitizer where it leads (`from` null: never to come back), and on the way back that it ended.
class FiberSwitch {
 public:
#if defined(__SANITIZE_THREAD__)
  // With synchronization: what ran on this OS thread before comes before, as it does in the machine.
  FiberSwitch(Fiber* to, Fiber*) noexcept { __tsan_switch_to_fiber(to->tsan, 0); }
#elif defined(__SANITIZE_ADDRESS__)
  FiberSwitch(Fiber* to, Fiber* from) noexcept : from_(from) {
    __sanitizer_start_switch_fiber(from ? &from->fake_stack : nullptr, to->low, to->size);
  }
  ~FiberSwitch() { __sanitizer_finish_switch_fiber(from_->fake_stack, nullptr, nullptr); }
  Fiber* from_;
#else
  FiberSwitch(Fiber*, Fiber*) noexcept {}
#endif
};

/// The first act of a new context, which has no FiberSwitch on its stack to come back to.
inline void fiber_entered() noexcept {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
}

}  // namespace vt::sys
