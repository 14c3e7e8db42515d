// The functions of libc that the runtime calls and the shim interposes: libc's own. Layer: core.
//
// Boot() looks all of them up. A call that comes first of all (an interposed function may run before any constructor of ours) looks its function
// up itself. @signal safe after boot()
#pragma once

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

extern "C" int __register_atfork(void (*)(), void (*)(), void (*)(), void*);  // no header has it

namespace vt {

/// A function of that name behind ours in the order of libraries.
void* find_next(const char* name) noexcept;

template <class F>
class LibcCall;
template <class R, class... P>
class LibcCall<R (*)(P...)> {
 public:
  using Function = R (*)(P...);
  constexpr LibcCall(const char* name, Function linked) noexcept : name_(name), found_(linked) {}
  Function get() noexcept {
    Function f = __atomic_load_n(&found_, __ATOMIC_RELAXED);  // everybody finds the same
    if (__builtin_expect(!f, 0)) __atomic_store_n(&found_, f = reinterpret_cast<Function>(find_next(name_)), __ATOMIC_RELAXED);
    return f;
  }
  R operator()(P... arguments) noexcept { return get()(arguments...); }

 private:
  const char* name_;
  Function found_;
};

#ifdef VT_UNIT
#define VT_LIBC_CALL(name, ...) LibcCall<__VA_ARGS__> name{#name, ::name}
#else
#define VT_LIBC_CALL(name, ...) LibcCall<__VA_ARGS__> name{#name, nullptr}
#endif
struct LibcCalls {
  VT_LIBC_CALL(pthread_create, int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*));
  VT_LIBC_CALL(pthread_getattr_np, int (*)(pthread_t, pthread_attr_t*));
  VT_LIBC_CALL(pthread_setname_np, int (*)(pthread_t, const char*));
  VT_LIBC_CALL(pthread_mutex_trylock, int (*)(pthread_mutex_t*));
  VT_LIBC_CALL(pthread_mutex_unlock, int (*)(pthread_mutex_t*));
  VT_LIBC_CALL(sigaction, int (*)(int, const struct sigaction*, struct sigaction*));
  VT_LIBC_CALL(siglongjmp, void (*)(struct __jmp_buf_tag*, int));
  VT_LIBC_CALL(__register_atfork, int (*)(void (*)(), void (*)(), void (*)(), void*));
  void find_all() noexcept {
    pthread_create.get(), pthread_getattr_np.get(), pthread_setname_np.get(), pthread_mutex_trylock.get(), pthread_mutex_unlock.get();
    sigaction.get(), siglongjmp.get(), __register_atfork.get();
  }
};
#undef VT_LIBC_CALL
extern LibcCalls libc_calls;

}  // namespace vt
