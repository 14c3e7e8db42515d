// [thread.jthread.class], [thread.stoptoken]: jthread's destructor requests stop and joins; stop callbacks run on the
// requesting thread; condition_variable_any::wait with a stop_token ends at the request.
#include "../check.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace {

void check_destructor() {
  std::atomic<int> stopped{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 10; ++i)
      threads.emplace_back([&stopped](std::stop_token token) {
        while (!token.stop_requested()) std::this_thread::yield();
        ++stopped;
      });
  }
  CHECK_EQ(stopped.load(), 10);
}

void check_wait() {
  std::mutex mutex;
  std::condition_variable_any condition;
  std::atomic<int> ended{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 10; ++i)
      threads.emplace_back([&](std::stop_token token) {
        std::unique_lock<std::mutex> lock(mutex);
        CHECK(!condition.wait(lock, token, [] { return false; }));
        CHECK(token.stop_requested());
        ++ended;
      });
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  CHECK_EQ(ended.load(), 10);
}

void check_callback() {
  std::thread::id where;
  std::jthread thread([](std::stop_token token) {
    while (!token.stop_requested()) std::this_thread::sleep_for(std::chrono::microseconds(100));
  });
  std::stop_callback callback(thread.get_stop_token(), [&where] { where = std::this_thread::get_id(); });
  CHECK(thread.request_stop());
  CHECK(!thread.request_stop());
  CHECK(where == std::this_thread::get_id());
  thread.join();
}

}  // namespace

int main() {
  check_destructor();
  check_wait();
  check_callback();
  return 0;
}
