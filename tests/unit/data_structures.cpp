// Timers, run queues, buckets, lists, settings, the log's formatter.
#include <doctest/doctest.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <random>
#include <vector>

#include "base/config.h"
#include "base/list.h"
#include "base/log.h"
#include "core/carrier.h"
#include "core/eject.h"
#include "core/main_signals.h"
#include "core/run_queue.h"
#include "core/thread_area.h"
#include "core/thread_signals.h"
#include "core/timer_heap.h"
#include "core/wait_table.h"
#include "sys/clock.h"
#include "sys/signal_bits.h"
#include "sys/stoppable.h"

namespace {

struct Item : vt::ListLink {
  int number = 0;
};

struct Alarm : vt::Timer {
  int number = 0;
};
std::vector<int> fired;

void note(vt::Timer* t, vt::Carrier*) noexcept { fired.push_back(static_cast<Alarm*>(t)->number); }

size_t format(char* out, size_t size, const char* f, ...) {
  va_list args;
  va_start(args, f);
  size_t n = vt::format_into(out, size, f, args);
  va_end(args);
  return n;
}

}  // namespace

TEST_CASE("a list keeps the order, and gives up members in the middle") {
  vt::List<Item> list;
  Item items[5];
  for (int i = 0; i < 5; ++i) items[i].number = i, list.push_back(&items[i]);
  vt::List<Item>::remove(&items[2]);
  CHECK_FALSE(items[2].linked());
  std::vector<int> left;
  while (Item* i = list.pop_front()) left.push_back(i->number);
  CHECK(left == std::vector<int>{0, 1, 3, 4});
  CHECK(list.empty());
}

TEST_CASE("timers fire in the order of their deadlines, each once, and disarmed ones never") {
  fired.clear();
  vt::TimerHeap heap;
  Alarm alarms[1000];
  unsigned seed = 1;
  for (int i = 0; i < 1000; ++i) {
    seed = seed * 1103515245 + 12345;
    alarms[i].deadline = 1 + (seed >> 8) % 500;  // many are equal
    alarms[i].number = i;
    alarms[i].fire = note;
    bool first = heap.next() > alarms[i].deadline;
    CHECK(heap.arm(&alarms[i]) == first);
  }
  for (int i = 0; i < 1000; i += 3) vt::TimerHeap::disarm(&alarms[i]);
  heap.expire(250, nullptr);
  for (int n : fired) CHECK(alarms[n].deadline <= 250);
  CHECK(heap.next() > 250);
  heap.expire(500, nullptr);
  CHECK(heap.next() == vt::sys::kForever);
  CHECK(fired.size() == 666);
  for (size_t i = 0; i < fired.size(); ++i) {
    CHECK(fired[i] % 3 != 0);
    if (i) CHECK(alarms[fired[i - 1]].deadline <= alarms[fired[i]].deadline);
  }
  vt::TimerHeap::disarm(&alarms[1]);  // fired already: nothing happens
}

TEST_CASE("a run queue is first in, first out; thieves take half; pinned threads stay") {
  vt::RunQueue mine, thief;
  std::vector<vt::VThread> threads(9);
  for (auto& t : threads) mine.push(&t);
  threads[0].pins = 1;
  CHECK(mine.steal_into(thief) == 5);
  CHECK(mine.size() == 4);
  for (int i = 1; i <= 5; ++i) CHECK(thief.pop() == &threads[(size_t)i]);
  CHECK(thief.pop() == nullptr);
  CHECK(mine.pop() == &threads[0]);  // and keep their places
  for (int i = 6; i <= 8; ++i) CHECK(mine.pop() == &threads[(size_t)i]);
  for (auto& t : threads) mine.push(&t);
  CHECK(mine.move_all_to(thief) == 8);
  CHECK(mine.pop() == &threads[0]);
  CHECK(mine.size() == 0);
}

TEST_CASE("a reserved carrier takes out of its queue only who can run nowhere else") {
  vt::RunQueue queue;
  std::vector<vt::VThread> threads(6);
  for (auto& t : threads) queue.push(&t);
  CHECK(queue.pop_staying() == nullptr);
  threads[2].pins = 1;
  threads[5].is_main = true;
  CHECK(queue.pop_staying() == &threads[2]);
  CHECK(queue.pop_staying() == &threads[5]);  // the tail
  CHECK(queue.pop_staying() == nullptr);
  CHECK(queue.size() == 4);
  queue.push(&threads[2]);
  for (int i : {0, 1, 3, 4, 2}) CHECK(queue.pop() == &threads[(size_t)i]);
  queue.push(&threads[2]);
  CHECK(queue.pop_staying() == &threads[2]);  // the only one
  CHECK(queue.pop() == nullptr);
  queue.push(&threads[0]);
  CHECK(queue.pop() == &threads[0]);
}

TEST_CASE("the size of a queue never falls below what stays in it while thieves look") {
  // The owner goes to sleep when it sees 0 (idle protocol): a thread that was taken out and put back would be forgotten.
  vt::RunQueue mine, thief;
  vt::VThread pinned;
  pinned.pins = 1;
  mine.push(&pinned);
  std::atomic<bool> stop{false};
  std::atomic<int> zeros{0};
  struct Watch {
    vt::RunQueue* queue;
    std::atomic<bool>* stop;
    std::atomic<int>* zeros;
  } watch{&mine, &stop, &zeros};
  auto look = [](void* p) -> void* {
    auto* w = static_cast<Watch*>(p);
    while (!w->stop->load()) *w->zeros += w->queue->size() == 0;
    return nullptr;
  };
  pthread_t watcher;
  REQUIRE(pthread_create(&watcher, nullptr, look, &watch) == 0);
  for (int i = 0; i < 100000; ++i) CHECK(mine.move_all_to(thief) + mine.steal_into(thief) == 0);
  stop = true;
  pthread_join(watcher, nullptr);
  CHECK(zeros == 0);
}

TEST_CASE("a bucket keeps the order per key") {
  vt::Bucket bucket;
  constexpr auto kSem = vt::ParkReason::kSem, kMutex = vt::ParkReason::kMutex;
  vt::WaitNode a1(nullptr, kSem), b1(nullptr, kSem), a2(nullptr, kSem);
  int a, b;
  bucket.push_back(&a1, &a);
  bucket.push_back(&b1, &b);
  bucket.push_back(&a2, &a);
  CHECK(bucket.first(&a, kSem) == &a1);
  CHECK(bucket.first(&a, kMutex) == nullptr);  // an address that was something else's before
  CHECK(bucket.following(&a1) == &a2);
  CHECK(bucket.following(&a2) == nullptr);
  bucket.remove(&a1, vt::WaitResult::kWoken);
  CHECK(bucket.first(&a, kSem) == &a2);
  CHECK(bucket.first(&b, kSem) == &b1);
  CHECK(a1.result.load() == vt::WaitResult::kWoken);
  CHECK(a2.result.load() == vt::WaitResult::kQueued);
}

TEST_CASE("a bucket's queues, when nodes leave from any place") {
  constexpr auto kSem = vt::ParkReason::kSem;
  constexpr int kKeys = 5, kNodes = 40;
  vt::Bucket bucket;
  int keys[kKeys];
  std::vector<std::unique_ptr<vt::WaitNode>> nodes;
  std::vector<vt::WaitNode*> queues[kKeys], idle;
  for (int i = 0; i < kNodes; ++i) {
    nodes.push_back(std::make_unique<vt::WaitNode>(nullptr, kSem));
    idle.push_back(nodes.back().get());
  }
  std::minstd_rand random(7);
  for (int step = 0; step < 20000; ++step) {
    int k = (int)(random() % kKeys);
    auto& queue = queues[k];
    if (!idle.empty() && random() % 2) {
      bucket.push_back(idle.back(), &keys[k]);
      queue.push_back(idle.back());
      idle.pop_back();
    } else if (!queue.empty()) {
      size_t at = random() % 3 == 0 ? 0 : random() % queue.size();
      bucket.remove(queue[at], vt::WaitResult::kWoken);
      idle.push_back(queue[at]);
      queue.erase(queue.begin() + (long)at);
    }
    for (int i = 0; i < kKeys; ++i) {
      const vt::WaitNode* n = bucket.first(&keys[i], kSem);
      for (const vt::WaitNode* expected : queues[i]) {
        REQUIRE(n == expected);
        n = bucket.following(n);
      }
      REQUIRE(n == nullptr);
    }
  }
}

TEST_CASE("a thread area's header stands still while the area is recycled") {
  // A carrier whose last thread has ended waits in its ring with that thread's area mounted, in code that checks the stack guard.
  const char* missing = nullptr;
  REQUIRE(vt::thread_area_probe(&missing));
  size_t size = vt::thread_area_size() + vt::thread_area_alignment();
  char* memory = (char*)aligned_alloc(vt::thread_area_alignment(), (size + 4095) & ~4095ul);
  memset(memory, 0, (size + 4095) & ~4095ul);
  char* tp = memory + vt::thread_pointer_offset();
  REQUIRE(vt::thread_area_create(tp, 1 << 28));
  std::atomic<bool> stop{false};
  std::atomic<int> changes{0};
  char first[56];
  memcpy(first, tp, sizeof first);
  pthread_t watcher;
  struct Watch {
    char *tp, *first;
    std::atomic<bool>* stop;
    std::atomic<int>* changes;
  } watch{tp, first, &stop, &changes};
  auto look = [](void* p) -> void* {
    auto* w = static_cast<Watch*>(p);
    while (!w->stop->load())
      for (int at : {8, 40, 48}) *w->changes += *(volatile long*)(w->tp + at) != *(long*)(w->first + at);
    return nullptr;
  };
  REQUIRE(pthread_create(&watcher, nullptr, look, &watch) == 0);
  for (int i = 0; i < 20000; ++i) REQUIRE(vt::thread_area_recycle(tp, (1 << 28) + i, i % 2));
  stop = true;
  pthread_join(watcher, nullptr);
  CHECK(changes == 0);
}

TEST_CASE("patterns as fnmatch(3)") {
  CHECK(vt::matches("libgomp*:libomp*", "libgomp.so.1"));
  CHECK(vt::matches("libgomp*:libomp*", "libomp5.so"));
  CHECK_FALSE(vt::matches("libgomp*:libomp*", "libgom.so"));
  CHECK(vt::matches("a?c", "abc"));
  CHECK_FALSE(vt::matches("a?c", "ac"));
  CHECK(vt::matches("*blas*", "libopenblas.so.0"));
  CHECK_FALSE(vt::matches("", "x"));
}

TEST_CASE("settings: bad values leave the default, and say so") {
  vt::Config before = vt::config;
  char good[] = "VTSHIM_CARRIERS=3", bad[] = "VTSHIM_CARRIERS=many", unknown[] = "VTSHIM_NOSUCH=1", stack[] = "VTSHIM_STACK=256k";
  char* environment[] = {good, stack, nullptr};
  vt::read_config(environment);
  CHECK(vt::config.carriers == 3);
  CHECK(vt::config.stack == 256 << 10);
  vt::config = vt::Config{};
  char* worse[] = {bad, unknown, nullptr};
  vt::read_config(worse);  // two lines on stderr
  CHECK(vt::config.carriers == 0);
  vt::config = before;
}

TEST_CASE("the log's formatter never writes past the end") {
  char text[12];
  memset(text, 'x', sizeof text);
  format(text, 8, "%s-%d", "abcdef", 1234);
  CHECK(strnlen(text, sizeof text) <= 7);
  CHECK(text[8] == 'x');
  format(text, sizeof text, "%d %u %lx", -5, 7u, 255ul);
  CHECK(strcmp(text, "-5 7 ff") == 0);
}

TEST_CASE("time arithmetic saturates") {
  CHECK(vt::sys::to_ns({INT64_MAX, 0}) == vt::sys::kForever);
  CHECK(vt::sys::to_ns({-1, 0}) == 0);
  CHECK(vt::sys::add(vt::sys::kForever - 1, 5) == vt::sys::kForever);
  timespec past{1, 0};
  CHECK(vt::sys::to_monotonic(CLOCK_REALTIME, past) == 0);
}

TEST_CASE("a call is stopped when a handler comes between the look at the flag and the kernel") {
  constexpr bool kStop = true, kGo = false;
  CHECK(vt::sys::stoppable(&kGo, SYS_getpid) == getpid());
  CHECK(vt::sys::stoppable(&kStop, SYS_getpid) == -EINTR);
  CHECK(vt::sys::stoppable(&kGo, SYS_read, -1, nullptr, 0) == -EBADF);
  // The look itself faults, so the handler stands in the middle.
  void* none = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(none != MAP_FAILED);
  struct sigaction stops {}, before;
  stops.sa_flags = SA_SIGINFO;
  stops.sa_sigaction = [](int, siginfo_t*, void* context) {
    if (!vt::sys::stop_call(static_cast<ucontext_t*>(context))) abort();
  };
  REQUIRE(sigaction(SIGSEGV, &stops, &before) == 0);
  CHECK(vt::sys::stoppable((const bool*)none, SYS_getpid) == -EINTR);
  REQUIRE(sigaction(SIGSEGV, &before, nullptr) == 0);
  ucontext_t elsewhere{};
  elsewhere.uc_mcontext.gregs[REG_RIP] = (greg_t)vt::sys::vt_stoppable_enters + 2;
  CHECK(!vt::sys::stop_call(&elsewhere));
  munmap(none, 4096);
}

TEST_CASE("the mark that signals have been passed on to main is no signal") {
  vt::MainThread main;
  main.is_main = true;
  siginfo_t info{};
  info.si_signo = SIGRTMIN;
  REQUIRE(vt::signals_queue(&main, SIGRTMIN, info));
  main.signals_pending.fetch_or(vt::sys::bit(vt::kPassed));  // lower than real-time signals
  CHECK(vt::signals_take(&main, ~0ull, &info) == SIGRTMIN);
  CHECK(vt::signals_take(&main, ~0ull, &info) == 0);
  CHECK(main.signals_pending.load() == vt::sys::bit(vt::kPassed));
}

TEST_CASE("what is passed to main is taken in the order in which it came") {
  auto main = std::make_unique<vt::MainThread>();
  auto home = std::make_unique<vt::Carrier>();
  main->carrier = home.get();
  vt::main_signals_begin();
  for (int i = 1; i <= 3; ++i) {
    siginfo_t info{};
    info.si_value.sival_int = i;
    vt::main_signals_pass(main.get(), home.get(), SIGRTMIN, info, false);
    CHECK((main->signals_pending.load() & vt::sys::bit(vt::kPassed)) != 0);
  }
  vt::main_signals_look(main.get());
  CHECK((main->signals_pending.load() & vt::sys::bit(vt::kPassed)) == 0);
  for (int i = 1; i <= 3; ++i) {
    siginfo_t info{};
    CHECK(vt::signals_take(main.get(), ~0ull, &info) == SIGRTMIN);
    CHECK(info.si_value.sival_int == i);
  }
  siginfo_t info{};
  CHECK(vt::signals_take(main.get(), ~0ull, &info) == 0);
  vt::main_signals_begin();
}
