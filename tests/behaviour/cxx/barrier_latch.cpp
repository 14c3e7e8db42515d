// [thread.barrier], [thread.latch]: std::barrier with completion function and arrive_and_drop, std::latch. libstdc++
// waits on atomics by spinning, yielding and raw futex calls: they must make progress like everything else.
#include "../check.h"

#include <atomic>
#include <barrier>
#include <latch>
#include <thread>
#include <vector>

namespace {

constexpr int kThreads = 10;
constexpr int kPhases = 100;

void check_barrier() {
  int phase = 0;
  std::atomic<int> arrived{0};
  auto complete = [&]() noexcept {
    CHECK_EQ(arrived.load(), kThreads);
    arrived = 0;
    ++phase;
  };
  std::barrier barrier(kThreads, complete);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < kPhases; ++n) {
        CHECK_EQ(phase, n);  // only the completion changes it, and that waits for us
        ++arrived;
        barrier.arrive_and_wait();
        CHECK_EQ(phase, n + 1);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(phase, kPhases);
}

void check_drop() {
  std::atomic<int> crossed{0};
  std::barrier<> barrier(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&, i] {
      for (int n = 0; n < i; ++n) {
        barrier.arrive_and_wait();
        ++crossed;
      }
      barrier.arrive_and_drop();
    });
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(crossed.load(), kThreads * (kThreads - 1) / 2);
}

void check_latch() {
  for (int round = 0; round < 50; ++round) {
    std::latch ready(kThreads);
    std::latch go(1);
    std::atomic<int> through{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i)
      threads.emplace_back([&] {
        ready.count_down();
        go.wait();
        ++through;
      });
    ready.wait();
    CHECK(!go.try_wait());
    CHECK_EQ(through.load(), 0);
    go.count_down();
    for (std::thread& thread : threads) thread.join();
    CHECK_EQ(through.load(), kThreads);
  }
}

}  // namespace

int main() {
  check_barrier();
  check_drop();
  check_latch();
  return 0;
}
