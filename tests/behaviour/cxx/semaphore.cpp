// [thread.sema], [atomics.wait]: counting_semaphore, binary_semaphore, atomic::wait and notify between threads and with
// the main thread; timed acquires. libstdc++ uses raw futex calls for these.
#include "../check.h"

#include <atomic>
#include <chrono>
#include <semaphore>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

constexpr int kRounds = 1000;

void check_ping_pong() {
  std::binary_semaphore ping(0);
  std::binary_semaphore pong(0);
  long count = 0;
  std::thread worker([&] {
    for (int i = 0; i < kRounds; ++i) {
      ping.acquire();
      ++count;
      pong.release();
    }
  });
  for (int i = 0; i < kRounds; ++i) {
    ping.release();
    pong.acquire();
    CHECK_EQ(count, i + 1);
  }
  worker.join();
}

// One acquires, others release. (Where several acquire, libstdc++ 12 may wait for a change of a count that isn't zero, and whoever releases then wakes
// nobody: its bug 104928, by which this test hung natively in a whole run.)
void check_counting() {
  std::counting_semaphore<> units(0);
  std::atomic<int> released{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 200; ++n) {
        released += 1 + n % 2;
        units.release(1 + n % 2);
        if (n % 16 == 0) std::this_thread::yield();
      }
    });
  for (int taken = 1; taken <= 4 * 300; ++taken) {
    units.acquire();
    CHECK(taken <= released);
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(!units.try_acquire());
}

void check_limit() {
  std::counting_semaphore<3> units(3);
  std::atomic<int> inside{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 10; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 200; ++n) {
        while (!units.try_acquire()) std::this_thread::yield();
        CHECK(++inside <= 3);
        if (n % 16 == 0) std::this_thread::yield();
        --inside;
        units.release();
      }
    });
  for (std::thread& thread : threads) thread.join();
}

void check_timed() {
  std::binary_semaphore semaphore(0);
  CHECK(!semaphore.try_acquire());
  auto start = std::chrono::steady_clock::now();
  CHECK(!semaphore.try_acquire_for(20ms));
  CHECK(std::chrono::steady_clock::now() - start >= 19ms);
  std::thread releaser([&] {
    std::this_thread::sleep_for(5ms);
    semaphore.release();
  });
  CHECK(semaphore.try_acquire_for(60s));
  releaser.join();
}

void check_atomic_wait() {
  std::atomic<int> turn{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (int n = 0; n < 200; ++n) {
        int want = n * 4 + i;
        for (int now = turn.load(); now != want; now = turn.load()) turn.wait(now);
        ++turn;
        turn.notify_all();
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(turn.load(), 800);
}

}  // namespace

int main() {
  check_ping_pong();
  check_counting();
  check_limit();
  check_timed();
  check_atomic_wait();
  std::thread(check_ping_pong).join();
  return 0;
}
