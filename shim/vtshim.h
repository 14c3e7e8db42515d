/* vtshim's functions for programs that know of it. A program built with this header needs no library and also runs without vtshim: the
   functions then say 0. C and C++, GCC and Clang. */
#ifndef VTSHIM_H
#define VTSHIM_H

#ifdef __cplusplus
extern "C" {
#endif

#define VTSHIM_DECLARE(name)                                                        \
  int name##_if_there(void) __asm__(#name) __attribute__((weak));                   \
  static inline int name(void) __asm__(#name "_or_not") __attribute__((unused));    \
  static inline int name(void) { return name##_if_there ? name##_if_there() : 0; }

/* Are this process's threads virtual ones? 1 or 0. */
VTSHIM_DECLARE(vtshim_active)
/* Is the calling thread a virtual one? 1 or 0. */
VTSHIM_DECLARE(vtshim_is_virtual)
/* Until as many calls of vtshim_unpin, the calling thread resumes on the same OS thread, which runs no other virtual thread meanwhile.
   The call itself may still move it. 0, or EAGAIN: no OS thread can be had for it; EBUSY: called by a signal handler. On a platform
   thread, under VTSHIM_PIN=none and without vtshim there is nothing to do: 0. */
VTSHIM_DECLARE(vtshim_pin)
/* 0, or EINVAL: it isn't pinned. A thread's end unpins it. */
VTSHIM_DECLARE(vtshim_unpin)

/* Writes what each virtual thread does to `fd`, a line each: state, and what it waits for. 0, or -1 with write(2)'s errno. Any thread, also in a
   signal handler. Without vtshim it writes nothing: 0. */
int vtshim_dump_if_there(int fd) __asm__("vtshim_dump") __attribute__((weak));
static inline int vtshim_dump(int fd) __asm__("vtshim_dump_or_not") __attribute__((unused));
static inline int vtshim_dump(int fd) { return vtshim_dump_if_there ? vtshim_dump_if_there(fd) : 0; }

#undef VTSHIM_DECLARE

#ifdef __cplusplus
}
#endif
#endif
