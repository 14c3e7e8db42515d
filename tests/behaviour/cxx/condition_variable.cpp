// [thread.condition]: condition_variable and condition_variable_any: notify_one, notify_all, wait_for, wait_until on
// both clocks, predicates, and a bounded queue of 4 producers and 4 consumers.
#include "../check.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <numeric>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

template <typename Condition>
class Queue {
 public:
  void put(int item) {
    std::unique_lock<std::mutex> lock(mutex_);
    not_full_.wait(lock, [this] { return items_.size() < 5; });
    items_.push_back(item);
    not_empty_.notify_one();
  }
  int get() {
    std::unique_lock<std::mutex> lock(mutex_);
    not_empty_.wait(lock, [this] { return !items_.empty(); });
    int item = items_.front();
    items_.pop_front();
    lock.unlock();
    not_full_.notify_one();
    return item;
  }

 private:
  std::mutex mutex_;
  Condition not_full_;
  Condition not_empty_;
  std::deque<int> items_;
};

template <typename Condition>
void check_queue() {
  constexpr int kItems = 1000;
  Queue<Condition> queue;
  std::vector<long> sums(4);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&queue] {
      for (int item = 1; item <= kItems; ++item) queue.put(item);
    });
    threads.emplace_back([&queue, &sum = sums[static_cast<size_t>(i)]] {
      for (int n = 0; n < kItems; ++n) sum += queue.get();
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(std::accumulate(sums.begin(), sums.end(), 0L), 4L * kItems * (kItems + 1) / 2);
}

template <typename Condition>
void check_timeouts() {
  std::mutex mutex;
  Condition condition;
  std::unique_lock<std::mutex> lock(mutex);
  auto start = std::chrono::steady_clock::now();
  CHECK(!condition.wait_for(lock, 20ms, [] { return false; }));
  CHECK(!condition.wait_until(lock, std::chrono::steady_clock::now() + 20ms, [] { return false; }));
  CHECK(!condition.wait_until(lock, std::chrono::system_clock::now() + 20ms, [] { return false; }));
  CHECK(std::chrono::steady_clock::now() - start >= 55ms);
  CHECK(condition.wait_until(lock, std::chrono::steady_clock::now() - 1s) == std::cv_status::timeout);
  CHECK(lock.owns_lock());
  bool flag = false;
  std::thread setter([&] {
    std::lock_guard<std::mutex> inner(mutex);
    flag = true;
    condition.notify_all();
  });
  CHECK(condition.wait_for(lock, 60s, [&] { return flag; }));
  lock.unlock();
  setter.join();
}

template <typename Condition>
void check_notify_all() {
  std::mutex mutex;
  Condition go;
  Condition all;
  int waiting = 0;
  int woken = 0;
  bool flag = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 20; ++i)
    threads.emplace_back([&] {
      std::unique_lock<std::mutex> lock(mutex);
      if (++waiting == 20) all.notify_one();
      go.wait(lock, [&] { return flag; });
      ++woken;
    });
  {
    std::unique_lock<std::mutex> lock(mutex);
    all.wait(lock, [&] { return waiting == 20; });
    flag = true;
  }
  go.notify_all();
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(woken, 20);
}

template <typename Condition>
void check() {
  check_queue<Condition>();
  check_timeouts<Condition>();
  check_notify_all<Condition>();
}

}  // namespace

int main() {
  check<std::condition_variable>();
  check<std::condition_variable_any>();
  std::thread(check<std::condition_variable>).join();
  return 0;
}
