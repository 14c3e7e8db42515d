// What belongs to the OS thread: os_thread.cpp. Layer: shim.
#pragma once

#include "api.h"

struct __user_cap_header_struct;
struct __user_cap_data_struct;

namespace vt::shim {
using CapHeader = ::__user_cap_header_struct;
using CapData = ::__user_cap_data_struct;
/// A raw system call that changes its OS thread, or a number of the thread's: false: not one of them. @thread any
bool os_thread_call(long number, const long (&arguments)[6], long* result);

/// Around a call that forks: 0 in the child, which is a platform thread then.
template <class Call>
long forked(Call&& call) {
  bool begun = vt::fork_begins();
  long pid = call();
  if (pid == 0) vt::fork_ends_in_child();
  else vt::fork_ends_in_parent(begun);
  return pid;
}
}  // namespace vt::shim
