// libstdc++: 2,000 threads wait for an atomic, a counting_semaphore, a latch, a barrier and a future; a line on stdin lets them go.
#include <atomic>
#include <barrier>
#include <chrono>
#include <future>
#include <iostream>
#include <latch>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

constexpr int kEach = 400;
std::atomic<int> arrived{0}, sum{0}, value{0};
std::counting_semaphore<> semaphore{0};
std::latch latch{1};
std::barrier barrier{kEach + 1};

int main() {
  std::vector<std::thread> threads;
  std::promise<int> promise;
  std::shared_future<int> future = promise.get_future().share();
  auto add = [&](int i, auto wait) {
    threads.emplace_back([=] {
      ++arrived;
      wait();
      sum += i;
    });
  };
  for (int i = 0; i < kEach; ++i) {
    add(i, [] { value.wait(0); });
    add(i, [] { semaphore.acquire(); });
    add(i, [] { latch.wait(); });
    add(i, [] { barrier.arrive_and_wait(); });
    add(i, [future] { (void)future.get(); });
  }
  while (arrived < 5 * kEach) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::cout << "waiting" << std::endl;
  std::string line;
  std::getline(std::cin, line);
  value = 1;
  value.notify_all();
  semaphore.release(kEach);
  latch.count_down();
  barrier.arrive_and_wait();
  promise.set_value(1);
  for (std::thread& t : threads) t.join();
  if (semaphore.try_acquire_for(std::chrono::milliseconds(20))) return 1;
  std::cout << sum << std::endl;
}
