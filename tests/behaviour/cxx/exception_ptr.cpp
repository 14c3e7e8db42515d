// [propagation]: exceptions carried to other threads by exception_ptr: caught there while the thrower still handles its
// own; the object is freed exactly once, by whoever is last.
#include "../check.h"

#include <semaphore.h>

#include <atomic>
#include <exception>
#include <thread>
#include <vector>

namespace {

constexpr int kThreads = 16;
constexpr int kRounds = 50;

std::atomic<int> g_alive;

struct Tracked {
  explicit Tracked(int v) : value(v) { ++g_alive; }
  Tracked(const Tracked& other) : value(other.value) { ++g_alive; }
  ~Tracked() { --g_alive; }
  int value;
};

std::exception_ptr g_exceptions[kThreads];
pthread_barrier_t g_step;

void run(int me) {
  for (int round = 0; round < kRounds; ++round) {
    try {
      throw Tracked(me * 1000 + round);
    } catch (const Tracked& mine) {
      g_exceptions[me] = std::current_exception();
      pthread_barrier_wait(&g_step);
      int other = (me + round + 1) % kThreads;
      try {
        std::rethrow_exception(g_exceptions[other]);
      } catch (const Tracked& theirs) {
        CHECK_EQ(theirs.value, other * 1000 + round);
        std::this_thread::yield();
        CHECK_EQ(theirs.value, other * 1000 + round);
      }
      CHECK_EQ(mine.value, me * 1000 + round);
      pthread_barrier_wait(&g_step);
      CHECK_EQ(mine.value, me * 1000 + round);
    }
    g_exceptions[me] = nullptr;
  }
}

}  // namespace

int main() {
  CHECK_RC(pthread_barrier_init(&g_step, nullptr, kThreads), 0);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(run, i);
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(g_alive.load(), 0);
  return 0;
}
