// [thread.thread.class]: std::thread: arguments, move, detach, ids, swap, hardware_concurrency, join errors as
// system_error; at_thread_exit; vectors of threads.
#include "../check.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace {

void append(std::string& target, const std::string& text, int times) {
  for (int i = 0; i < times; ++i) {
    target += text;
    std::this_thread::yield();
  }
}

void check_errors() {
  std::thread empty;
  CHECK(!empty.joinable());
  try {
    empty.join();
    CHECK(!"join of an empty thread throws");
  } catch (const std::system_error& error) {
    CHECK(error.code() == std::errc::invalid_argument);
  }
  // A thread that joins itself.
  std::mutex mutex;
  std::thread self;
  bool refused = false;
  {
    std::lock_guard<std::mutex> lock(mutex);
    self = std::thread([&] {
      std::lock_guard<std::mutex> inner(mutex);
      try {
        self.join();
      } catch (const std::system_error& error) {
        refused = error.code() == std::errc::resource_deadlock_would_occur;
      }
    });
  }
  self.join();
  CHECK(refused);
}

void check_ids() {
  std::mutex mutex;
  std::set<std::thread::id> ids{std::this_thread::get_id()};
  std::vector<std::thread> threads;
  pthread_barrier_t all;
  CHECK_RC(pthread_barrier_init(&all, nullptr, 50), 0);
  for (int i = 0; i < 50; ++i)
    threads.emplace_back([&] {
      {
        std::lock_guard<std::mutex> lock(mutex);
        ids.insert(std::this_thread::get_id());
      }
      pthread_barrier_wait(&all);  // ids are unique among live threads only
    });
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(ids.size(), 51);
}

void check_at_thread_exit() {
  std::mutex mutex;
  std::condition_variable cond;
  bool done = false;
  std::thread thread([&] {
    std::unique_lock<std::mutex> lock(mutex);
    std::notify_all_at_thread_exit(cond, std::move(lock));
    done = true;
  });
  {
    std::unique_lock<std::mutex> lock(mutex);
    cond.wait(lock, [&] { return done; });
  }
  thread.join();
}

}  // namespace

int main() {
  std::string text;
  std::thread first(append, std::ref(text), "ab", 3);
  std::thread second(std::move(first));
  CHECK(!first.joinable());
  second.join();
  CHECK_STR(text.c_str(), "ababab");
  CHECK(std::thread::hardware_concurrency() >= 1);

  std::thread a([&] { text = "a"; });
  std::thread b;
  a.swap(b);
  CHECK(!a.joinable());
  CHECK(b.joinable());
  b.join();
  CHECK_STR(text.c_str(), "a");

  std::atomic<int> detached{0};
  for (int i = 0; i < 100; ++i) std::thread([&detached] { ++detached; }).detach();
  while (detached.load() < 100) std::this_thread::yield();

  check_errors();
  check_ids();
  check_at_thread_exit();
  return 0;
}
