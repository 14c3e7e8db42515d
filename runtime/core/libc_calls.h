// The functions of libc that the runtime calls and the shim interposes: libc's own. Layer: core.
#pragma once

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

namespace vt {

struct LibcCalls {
  int (*pthread_create)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  int (*pthread_getattr_np)(pthread_t, pthread_attr_t*);
  int (*pthread_setname_np)(pthread_t, const char*);
  int (*pthread_mutex_trylock)(pthread_mutex_t*);
  int (*pthread_mutex_unlock)(pthread_mutex_t*);
  int (*sigaction)(int, const struct sigaction*, struct sigaction*);
  void (*siglongjmp)(struct __jmp_buf_tag*, int);
};
/// Filled by boot(). In unit tests: the functions as linked.
extern LibcCalls libc_calls;

}  // namespace vt
