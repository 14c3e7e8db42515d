// [thread.mutex]: std::mutex, recursive_mutex, timed_mutex, recursive_timed_mutex, lock_guard, unique_lock, scoped_lock
// (several mutexes taken in opposite orders don't deadlock), std::lock, try_lock.
#include "../check.h"

#include <chrono>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

constexpr int kThreads = 8;
constexpr int kRounds = 2000;

void in_threads(const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(body, i);
  body(kThreads);
  for (std::thread& thread : threads) thread.join();
}

template <typename Mutex>
void check_exclusion() {
  Mutex mutex;
  long counter = 0;
  in_threads([&](int) {
    for (int i = 0; i < kRounds; ++i) {
      std::lock_guard<Mutex> lock(mutex);
      long before = counter;
      if (i % 64 == 0) std::this_thread::yield();
      counter = before + 1;
    }
  });
  CHECK_EQ(counter, (kThreads + 1) * kRounds);
}

void check_scoped_lock() {
  std::mutex mutexes[3];
  long counter = 0;
  in_threads([&](int me) {
    for (int i = 0; i < kRounds; ++i) {
      std::scoped_lock lock(mutexes[me % 3], mutexes[(me + 1) % 3], mutexes[(me + 2) % 3]);
      ++counter;
    }
  });
  CHECK_EQ(counter, (kThreads + 1) * kRounds);
}

template <typename Mutex>
void check_timed() {
  Mutex mutex;
  std::unique_lock<Mutex> lock(mutex);
  std::thread([&] {
    CHECK(!mutex.try_lock());
    CHECK(!mutex.try_lock_for(-1s));
    auto start = std::chrono::steady_clock::now();
    CHECK(!mutex.try_lock_for(20ms));
    CHECK(!mutex.try_lock_until(std::chrono::steady_clock::now() + 20ms));
    CHECK(!mutex.try_lock_until(std::chrono::system_clock::now() + 20ms));
    CHECK(std::chrono::steady_clock::now() - start >= 55ms);
  }).join();
  std::thread waiter([&] {
    CHECK(mutex.try_lock_for(60s));
    mutex.unlock();
  });
  std::this_thread::sleep_for(5ms);
  lock.unlock();
  waiter.join();
}

}  // namespace

int main() {
  check_exclusion<std::mutex>();
  check_exclusion<std::recursive_mutex>();
  check_exclusion<std::timed_mutex>();
  check_exclusion<std::recursive_timed_mutex>();
  check_scoped_lock();
  check_timed<std::timed_mutex>();
  check_timed<std::recursive_timed_mutex>();
  std::recursive_mutex recursive;
  std::lock_guard<std::recursive_mutex> outer(recursive);
  CHECK(recursive.try_lock());
  std::thread([&] { CHECK(!recursive.try_lock()); }).join();
  recursive.unlock();
  return 0;
}
