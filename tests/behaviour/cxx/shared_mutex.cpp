// [thread.sharedmutex]: shared_mutex and shared_timed_mutex: readers together, a writer alone, try and timed variants.
#include "../check.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

template <typename Mutex>
void check_exclusion() {
  Mutex mutex;
  long values[2] = {0, 0};
  std::atomic<int> readers{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      for (int n = 0; n < 1000; ++n) {
        if (i < 2) {
          std::unique_lock<Mutex> lock(mutex);
          CHECK_EQ(readers.load(), 0);
          ++values[0];
          if (n % 32 == 0) std::this_thread::yield();
          ++values[1];
        } else {
          std::shared_lock<Mutex> lock(mutex);
          ++readers;
          if (n % 32 == 0) std::this_thread::yield();
          CHECK_EQ(values[0], values[1]);
          --readers;
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(values[0], 2000);
}

template <typename Mutex>
void check_together() {
  Mutex mutex;
  pthread_barrier_t inside;
  CHECK_RC(pthread_barrier_init(&inside, nullptr, 8), 0);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      std::shared_lock<Mutex> lock(mutex);
      pthread_barrier_wait(&inside);
    });
  for (std::thread& thread : threads) thread.join();
}

void check_timed() {
  std::shared_timed_mutex mutex;
  mutex.lock();
  std::thread([&] {
    CHECK(!mutex.try_lock());
    CHECK(!mutex.try_lock_shared());
    auto start = std::chrono::steady_clock::now();
    CHECK(!mutex.try_lock_for(20ms));
    CHECK(!mutex.try_lock_shared_for(20ms));
    CHECK(!mutex.try_lock_shared_until(std::chrono::system_clock::now() + 20ms));
    CHECK(std::chrono::steady_clock::now() - start >= 55ms);
  }).join();
  std::thread waiter([&] {
    CHECK(mutex.try_lock_shared_for(60s));
    mutex.unlock_shared();
  });
  std::this_thread::sleep_for(2ms);
  mutex.unlock();
  waiter.join();
}

}  // namespace

int main() {
  check_exclusion<std::shared_mutex>();
  check_exclusion<std::shared_timed_mutex>();
  check_together<std::shared_mutex>();
  check_together<std::shared_timed_mutex>();
  check_timed();
  return 0;
}
