// [thread.once], [stmt.dcl]: std::call_once whose routine throws is tried again by another caller; function-local
// statics are initialized once while all others wait, also when the initialization parks or throws.
#include "../check.h"

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

namespace {

constexpr int kThreads = 20;
constexpr int kThrows = 3;

std::atomic<int> g_attempts;
std::atomic<int> g_static_attempts;

struct Slow {
  Slow() {
    int attempt = g_static_attempts++;
    sleep_ms(2);
    if (attempt < kThrows) throw std::runtime_error("not yet");
    ready = true;
  }
  bool ready = false;
};

Slow& slow() {
  static Slow object;
  return object;
}

int in_threads(void (*body)(std::atomic<int>&)) {
  std::atomic<int> thrown{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(body, std::ref(thrown));
  for (std::thread& thread : threads) thread.join();
  return thrown.load();
}

std::once_flag g_once;
bool g_done;

void call(std::atomic<int>& thrown) {
  try {
    std::call_once(g_once, [] {
      int attempt = g_attempts++;
      sleep_ms(2);
      if (attempt < kThrows) throw std::runtime_error("not yet");
      g_done = true;
    });
    CHECK(g_done);
  } catch (const std::runtime_error&) {
    ++thrown;
  }
}

void use_static(std::atomic<int>& thrown) {
  try {
    CHECK(slow().ready);
  } catch (const std::runtime_error&) {
    ++thrown;
  }
}

}  // namespace

int main() {
  CHECK_EQ(in_threads(call), kThrows);
  CHECK_EQ(g_attempts.load(), kThrows + 1);
  CHECK_EQ(in_threads(use_static), kThrows);
  CHECK_EQ(g_static_attempts.load(), kThrows + 1);
  return 0;
}
