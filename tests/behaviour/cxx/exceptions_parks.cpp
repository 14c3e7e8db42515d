// [except.handle], Itanium C++ ABI: exceptions thrown, caught, rethrown and nested while the thread parks at every
// stage (in the try block, in destructors during unwinding, in the handler) and 50 other threads do the same. Each
// thread's caught-exception stack and uncaught count are its own.
#include "../check.h"

#include <sched.h>

#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int kThreads = 50;
constexpr int kRounds = 40;

void park(int turn) {
  if (turn % 4 == 0)
    sleep_ms(0);
  else
    sched_yield();
}

struct ParksInDestructor {
  int turn;
  int* unwound;
  ~ParksInDestructor() {
    CHECK_EQ(std::uncaught_exceptions(), 1);
    park(turn);
    CHECK_EQ(std::uncaught_exceptions(), 1);
    // An exception that lives and dies inside a destructor during unwinding.
    try {
      throw turn;
    } catch (int value) {
      park(turn + 1);
      CHECK_EQ(value, turn);
      CHECK_EQ(std::uncaught_exceptions(), 1);
    }
    ++*unwound;
  }
};

__attribute__((noinline)) void throw_deep(int depth, int turn, int* unwound, const std::string& text) {
  ParksInDestructor guard{turn, unwound};
  if (depth == 0) throw std::runtime_error(text);
  throw_deep(depth - 1, turn, unwound, text);
}

void run(int me) {
  for (int i = 0; i < kRounds; ++i) {
    std::string text = "thread " + std::to_string(me) + " round " + std::to_string(i);
    int unwound = 0;
    int caught = 0;
    try {
      park(i);
      throw_deep(3, i, &unwound, text);
    } catch (const std::runtime_error& error) {
      ++caught;
      CHECK_EQ(unwound, 4);
      CHECK_EQ(std::uncaught_exceptions(), 0);
      park(i);
      CHECK_STR(error.what(), text.c_str());
      CHECK(std::current_exception() != nullptr);
      try {
        try {
          throw std::logic_error("inner " + text);
        } catch (...) {
          park(i + 1);
          throw;  // rethrows the inner one, after a park
        }
      } catch (const std::logic_error& inner) {
        park(i);
        CHECK_STR(inner.what(), ("inner " + text).c_str());
        ++caught;
      }
      // The outer one is current again.
      try {
        std::rethrow_exception(std::current_exception());
      } catch (const std::exception& again) {
        CHECK_STR(again.what(), text.c_str());
        ++caught;
      }
    }
    CHECK_EQ(caught, 3);
    CHECK(std::current_exception() == nullptr);
    CHECK_EQ(std::uncaught_exceptions(), 0);
  }
}

}  // namespace

int main() {
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(run, i);
  run(kThreads);
  for (std::thread& thread : threads) thread.join();
  return 0;
}
