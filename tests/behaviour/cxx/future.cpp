// [futures]: promise, future, shared_future, packaged_task, async: values, exceptions, broken promises, timed waits,
// 500 asynchronous tasks that wait for each other in a chain.
#include "../check.h"

#include <chrono>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

void check_promise() {
  std::promise<std::string> promise;
  std::future<std::string> future = promise.get_future();
  CHECK(future.wait_for(0s) == std::future_status::timeout);
  auto start = std::chrono::steady_clock::now();
  CHECK(future.wait_for(20ms) == std::future_status::timeout);
  CHECK(future.wait_until(std::chrono::system_clock::now() + 20ms) == std::future_status::timeout);
  CHECK(std::chrono::steady_clock::now() - start >= 35ms);
  std::thread setter([&promise] {
    std::this_thread::sleep_for(2ms);
    promise.set_value("value");
  });
  CHECK_STR(future.get().c_str(), "value");
  CHECK(!future.valid());
  setter.join();

  std::promise<void> at_exit;
  std::future<void> ended = at_exit.get_future();
  std::thread ending([&at_exit] {
    at_exit.set_value_at_thread_exit();
    std::this_thread::yield();
  });
  ended.get();
  ending.join();
}

void check_exceptions() {
  std::future<int> future = std::async(std::launch::async, []() -> int {
    std::this_thread::yield();
    throw std::out_of_range("from the task");
  });
  try {
    future.get();
    CHECK(!"get throws");
  } catch (const std::out_of_range& error) {
    CHECK_STR(error.what(), "from the task");
  }
  std::future<int> broken;
  {
    std::promise<int> promise;
    broken = promise.get_future();
  }
  try {
    broken.get();
    CHECK(!"get throws");
  } catch (const std::future_error& error) {
    CHECK(error.code() == std::future_errc::broken_promise);
  }
}

void check_shared() {
  std::promise<int> promise;
  std::shared_future<int> shared = promise.get_future().share();
  std::vector<std::future<int>> readers;
  for (int i = 0; i < 20; ++i)
    readers.push_back(std::async(std::launch::async, [shared, i] { return shared.get() + i; }));
  promise.set_value(100);
  for (int i = 0; i < 20; ++i) CHECK_EQ(readers[static_cast<size_t>(i)].get(), 100 + i);
}

void check_tasks() {
  std::packaged_task<int(int)> task([](int n) { return n * n; });
  std::future<int> result = task.get_future();
  std::thread runner(std::move(task), 12);
  CHECK_EQ(result.get(), 144);
  runner.join();
  std::future<std::thread::id> deferred = std::async(std::launch::deferred, [] { return std::this_thread::get_id(); });
  CHECK(deferred.wait_for(0s) == std::future_status::deferred);
  CHECK(deferred.get() == std::this_thread::get_id());
  CHECK(std::async(std::launch::async, [] { return std::this_thread::get_id(); }).get() != std::this_thread::get_id());
}

void check_chain() {
  std::promise<int> first;
  std::shared_future<int> previous = first.get_future().share();
  for (int i = 0; i < 500; ++i)
    previous = std::async(std::launch::async, [previous] { return previous.get() + 1; }).share();
  first.set_value(0);
  CHECK_EQ(previous.get(), 500);
}

}  // namespace

int main() {
  check_promise();
  check_exceptions();
  check_shared();
  check_tasks();
  check_chain();
  return 0;
}
