// Three levels of assertion. Layer: base. Any thread, signal safe.
//   VT_CHECK   always on: the state is beyond repair; one line on stderr, then abort by a trap.
//   VT_ASSERT  on unless VT_RELEASE is defined: cheap, on hot paths too.
//   VT_SLOW    only with VT_PARANOID: walks a structure.
#pragma once

namespace vt {
[[noreturn]] void fail_check(const char* expression, const char* file, int line) noexcept;
/// Says more about the state after the line of a failed VT_CHECK; must take no lock. Null: nothing.
extern void (*report_state)() noexcept;
}

#define VT_CHECK(cond) (__builtin_expect(!!(cond), 1) ? (void)0 : ::vt::fail_check(#cond, __FILE__, __LINE__))
#ifdef VT_RELEASE
#define VT_ASSERT(cond) ((void)0)
#else
#define VT_ASSERT(cond) VT_CHECK(cond)
#endif
#ifdef VT_PARANOID
#define VT_SLOW(cond) VT_CHECK(cond)
#else
#define VT_SLOW(cond) ((void)0)
#endif
