// Checks for the behaviour tests: plain programs that know nothing of vtshim (C11 and C++20).
// Include this first (it defines _GNU_SOURCE). A failed check prints file:line, the expression, the values and errno
// on stderr and ends the process with _exit(1). Exit status of a test: 0 pass, 77 skip (SKIP), anything else fail.
// Checks don't change errno when they pass, and may run on any thread and in forked children.
#ifndef VTSHIM_TESTS_BEHAVIOUR_CHECK_H
#define VTSHIM_TESTS_BEHAVIOUR_CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

__attribute__((cold, noreturn, format(printf, 4, 5))) static inline void check_fail(const char* file, int line, int err,
                                                                                    const char* format, ...) {
  char text[1024];
  __builtin_va_list args;
  __builtin_va_start(args, format);
  int used = snprintf(text, sizeof text, "%s:%d: check failed: ", file, line);
  used += vsnprintf(text + used, sizeof text - (size_t)used, format, args);
  __builtin_va_end(args);
  if (used > (int)sizeof text - 100) used = (int)sizeof text - 100;
  used += snprintf(text + used, sizeof text - (size_t)used, " (errno %d %s, pid %d)\n", err, strerrorname_np(err),
                   (int)getpid());
  if (write(2, text, (size_t)used) < 0) _exit(2);
  _exit(1);
}

// The condition holds.
#define CHECK(cond)                                                  \
  do {                                                               \
    if (!(cond)) check_fail(__FILE__, __LINE__, errno, "%s", #cond); \
  } while (0)

// Two integers (or pthread_t) are equal.
#define CHECK_EQ(a, b)                                                                                 \
  do {                                                                                                 \
    long long check_a_ = (long long)(a);                                                               \
    long long check_b_ = (long long)(b);                                                               \
    if (check_a_ != check_b_)                                                                          \
      check_fail(__FILE__, __LINE__, errno, "%s == %s: %lld is not %lld", #a, #b, check_a_, check_b_); \
  } while (0)

// Two C strings are equal. (A function, so that temporaries in the arguments live until it has returned.)
static inline void check_strings(const char* file, int line, const char* text, const char* a, const char* b) {
  if (strcmp(a, b) != 0) check_fail(file, line, errno, "%s: \"%s\" is not \"%s\"", text, a, b);
}
#define CHECK_STR(a, b) check_strings(__FILE__, __LINE__, #a " == " #b, (a), (b))

// A call that reports by -1 and errno fails with that errno.
#define CHECK_ERR(call, err)                                                                                       \
  do {                                                                                                             \
    errno = 0;                                                                                                     \
    long long check_r_ = (long long)(call);                                                                        \
    int check_e_ = errno;                                                                                          \
    if (check_r_ != -1 || check_e_ != (err))                                                                       \
      check_fail(__FILE__, __LINE__, check_e_, "%s fails with %s: returned %lld, errno %s", #call, #err, check_r_, \
                 strerrorname_np(check_e_));                                                                       \
  } while (0)

// A call that reports by -1 and errno succeeds (returns something else than -1).
#define CHECK_OK(call)                                                                  \
  do {                                                                                  \
    long long check_r_ = (long long)(call);                                             \
    if (check_r_ == -1) check_fail(__FILE__, __LINE__, errno, "%s returned -1", #call); \
  } while (0)

// A call that returns its error number (pthread_*, posix_spawn) returns exactly rc.
#define CHECK_RC(call, rc)                                                                                          \
  do {                                                                                                              \
    int check_r_ = (int)(call);                                                                                     \
    int check_w_ = (rc);                                                                                            \
    if (check_r_ != check_w_)                                                                                       \
      check_fail(__FILE__, __LINE__, errno, "%s returns %s (%d): returned %d (%s)", #call, #rc, check_w_, check_r_, \
                 strerrorname_np(check_r_) ? strerrorname_np(check_r_) : "?");                                      \
  } while (0)

// The test can't run here: say why and end with 77.
#define SKIP(why)                            \
  do {                                       \
    fprintf(stderr, "skipped: %s\n", (why)); \
    exit(77);                                \
  } while (0)

// CLOCK_MONOTONIC in milliseconds.
static inline long long now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// The absolute time `ms` milliseconds from now on `clock` (ms may be negative: a deadline in the past).
static inline struct timespec deadline_after_ms(clockid_t clock, long long ms) {
  struct timespec t;
  clock_gettime(clock, &t);
  long long ns = (long long)t.tv_nsec + ms % 1000 * 1000000;
  t.tv_sec += ms / 1000 + ns / 1000000000;
  ns %= 1000000000;
  if (ns < 0) {
    ns += 1000000000;
    t.tv_sec -= 1;
  }
  t.tv_nsec = ns;
  return t;
}

// Sleeps through signals. Only to test sleeping, or to give others a chance: never the thing that makes a test pass.
static inline void sleep_ms(long ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&t, &t) != 0) CHECK_EQ(errno, EINTR);
}

// Starts a joinable thread with default attributes, or with the given stack size.
static inline pthread_t start_thread(void* (*run)(void*), void* arg) {
  pthread_t thread;
  CHECK_RC(pthread_create(&thread, NULL, run, arg), 0);
  return thread;
}

static inline pthread_t start_thread_with_stack(size_t stack_size, void* (*run)(void*), void* arg) {
  pthread_t thread;
  pthread_attr_t attr;
  CHECK_RC(pthread_attr_init(&attr), 0);
  CHECK_RC(pthread_attr_setstacksize(&attr, stack_size), 0);
  CHECK_RC(pthread_create(&thread, &attr, run, arg), 0);
  CHECK_RC(pthread_attr_destroy(&attr), 0);
  return thread;
}

// Joins and returns the thread's result.
static inline void* join_thread(pthread_t thread) {
  void* result = NULL;
  CHECK_RC(pthread_join(thread, &result), 0);
  return result;
}

// Waits for a child and returns its wait status (WIFEXITED and so on).
static inline int wait_status(pid_t pid) {
  int status = 0;
  pid_t got;
  while ((got = waitpid(pid, &status, 0)) < 0 && errno == EINTR) {
  }
  CHECK_EQ(got, pid);
  return status;
}

// Waits for a child that must exit with `code`.
#define CHECK_CHILD_EXITS(pid, code)                                                                          \
  do {                                                                                                        \
    int check_s_ = wait_status(pid);                                                                          \
    if (!WIFEXITED(check_s_) || WEXITSTATUS(check_s_) != (code))                                              \
      check_fail(__FILE__, __LINE__, errno, "child exits with %s (%d): wait status 0x%x", #code, (int)(code), \
                 (unsigned)check_s_);                                                                         \
  } while (0)

// Forks; the child runs body() and ends with _exit(0). Returns the child's id.
static inline pid_t fork_child(void (*body)(void)) {
  fflush(NULL);
  pid_t pid = fork();
  CHECK_OK(pid);
  if (pid == 0) {
    body();
    _exit(0);
  }
  return pid;
}

#endif  // VTSHIM_TESTS_BEHAVIOUR_CHECK_H
