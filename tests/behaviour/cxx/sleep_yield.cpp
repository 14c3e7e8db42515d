// [thread.thread.this]: this_thread::sleep_for and sleep_until last at least as long as asked, on both clocks; 200
// threads sleep at the same time, not one after the other; yield lets others run.
#include "../check.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

int main() {
  auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (int i = 0; i < 200; ++i)
    threads.emplace_back([i] {
      auto before = std::chrono::steady_clock::now();
      auto system_before = std::chrono::system_clock::now();
      switch (i % 3) {
        case 0:
          std::this_thread::sleep_for(50ms + std::chrono::microseconds(i));
          break;
        case 1:
          std::this_thread::sleep_until(before + 50ms);
          break;
        default:
          std::this_thread::sleep_until(system_before + 50ms);
          CHECK(std::chrono::system_clock::now() - system_before >= 50ms);
          return;
      }
      CHECK(std::chrono::steady_clock::now() - before >= 50ms);
    });
  for (std::thread& thread : threads) thread.join();
  // In turn they would take 10 s.
  CHECK(std::chrono::steady_clock::now() - start < 8s);

  std::this_thread::sleep_for(-1s);
  std::this_thread::sleep_for(0s);
  std::atomic<bool> flag{false};
  std::thread setter([&] { flag = true; });
  while (!flag) std::this_thread::yield();
  setter.join();
  return 0;
}
