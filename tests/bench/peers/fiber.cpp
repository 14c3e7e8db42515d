// Boost.Fiber: `sem` (two counting semaphores of its own mutex and condition variable; its library has none), `cond` (a turn, and
// condition variables), `channel` (two unbuffered channels), `spawn` (--batch). Prints nanoseconds an operation.
#include <boost/fiber/all.hpp>
#include <vector>

#include "../bench.h"

namespace fibers = boost::fibers;

class Semaphore {
 public:
  void post() {
    std::unique_lock lock(mutex_);
    ++value_;
    lock.unlock();
    posted_.notify_one();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    posted_.wait(lock, [&] { return value_ > 0; });
    --value_;
  }

 private:
  fibers::mutex mutex_;
  fibers::condition_variable posted_;
  long value_ = 0;
};

template <class Serve, class Drive>
static int64_t both(Serve serve, Drive drive) {
  int64_t start = bench_now_ns();
  fibers::fiber a(serve), b(drive);
  a.join();
  b.join();
  return bench_now_ns() - start;
}

static int64_t sem(long n) {
  Semaphore ping, pong;
  return both([&] { for (long i = 0; i < n; ++i) ping.wait(), pong.post(); },
              [&] { for (long i = 0; i < n; ++i) ping.post(), pong.wait(); });
}

static int64_t cond(long n) {
  fibers::mutex mutex;
  fibers::condition_variable turned[2];
  int turn = 0;
  auto play = [&](int me) {
    std::unique_lock lock(mutex);
    for (long i = 0; i < n; ++i) {
      turned[me].wait(lock, [&] { return turn == me; });
      turn = !me;
      turned[!me].notify_one();
    }
  };
  return both([&] { play(0); }, [&] { play(1); });
}

static int64_t channel(long n) {
  fibers::unbuffered_channel<long> there, back;
  return both([&] { for (long i = 0; i < n; ++i) back.push(there.value_pop()); },
              [&] { for (long i = 0; i < n; ++i) there.push(i), back.value_pop(); });
}

static long batch;

static int64_t spawn(long n) {
  std::vector<fibers::fiber> some(static_cast<size_t>(batch));
  long batches = n / batch + 1, ran = 0;
  fibers::pooled_fixedsize_stack stacks;
  int64_t start = bench_now_ns();
  for (long i = 0; i < batches; ++i) {
    for (auto& f : some) f = fibers::fiber(std::allocator_arg, stacks, [&] { ++ran; });
    for (auto& f : some) f.join();
  }
  int64_t took = bench_now_ns() - start;
  BENCH_CHECK(ran == batches * batch);
  return static_cast<int64_t>(static_cast<double>(took) * static_cast<double>(n) / static_cast<double>(batches * batch));
}

int main(int argc, char** argv) {
  std::string what = argc > 1 ? argv[1] : "";
  batch = atol(bench_option(argc, argv, "--batch", "1"));
  auto run = what == "cond" ? cond : what == "channel" ? channel : what == "spawn" ? spawn : sem;
  printf("ns_per_op %.1f\n", bench_calibrated(run, bench_seconds(argc, argv)));
}
