// pthread_exit(3) in C++ (glibc): unwinds the stack: destructors of all frames run, catch (...) blocks see it and must
// rethrow, thread_local destructors follow; also after parks and from within a catch block.
#include "../check.h"

#include <cxxabi.h>
#include <sched.h>

#include <stdexcept>
#include <string>

namespace {

thread_local std::string* t_trace;

struct Frame {
  char name;
  ~Frame() {
    sched_yield();
    *t_trace += name;
  }
};

struct AtEnd {
  bool armed = false;
  ~AtEnd() {
    if (armed) *t_trace += 't';
  }
};

thread_local AtEnd t_at_end;

void leave(int depth, void* result);
void (*volatile g_leave)(int, void*) = leave;  // so that gcc doesn't call this an infinite recursion

void leave(int depth, void* result) {
  Frame frame{static_cast<char>('0' + depth)};
  if (depth > 0) {
    g_leave(depth - 1, result);
    return;
  }
  sleep_ms(1);
  pthread_exit(result);
}

void* run(void* arg) {
  t_trace = static_cast<std::string*>(arg);
  t_at_end.armed = true;
  Frame outer{'o'};
  try {
    leave(3, arg);
  } catch (abi::__forced_unwind&) {
    sched_yield();
    *t_trace += 'f';
    throw;
  }
  return nullptr;
}

void* run_in_handler(void* arg) {
  t_trace = static_cast<std::string*>(arg);
  t_at_end.armed = true;
  Frame outer{'o'};
  try {
    throw std::runtime_error("handled");
  } catch (const std::runtime_error&) {
    Frame handler{'h'};
    leave(1, arg);
  }
  return nullptr;
}

void* run_through_catch_all(void* arg) {
  t_trace = static_cast<std::string*>(arg);
  t_at_end.armed = true;
  try {
    leave(0, arg);
  } catch (...) {
    *t_trace += 'c';
    throw;
  }
  return nullptr;
}

void check(void* (*body)(void*), const char* want) {
  for (int i = 0; i < 30; ++i) {
    std::string traces[4];
    pthread_t threads[4];
    for (int n = 0; n < 4; ++n) threads[n] = start_thread(body, &traces[n]);
    for (int n = 0; n < 4; ++n) {
      CHECK(join_thread(threads[n]) == &traces[n]);
      CHECK_STR(traces[n].c_str(), want);
    }
  }
}

}  // namespace

int main() {
  check(run, "0123fot");
  check(run_in_handler, "01hot");
  check(run_through_catch_all, "0ct");
  return 0;
}
