// [basic.stc.thread]: thread_local objects are constructed once per thread that uses them, at first use, and destroyed
// in reverse order of construction at the thread's end, before TSD destructors; destructors may park and use others.
#include "../check.h"

#include <sched.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int kThreads = 30;
constexpr int kBatches = 10;

std::atomic<int> g_constructed;
std::atomic<int> g_destroyed;
std::atomic<int> g_traces_right;
pthread_key_t g_key;

struct Trace {
  std::string text;
};

void on_key(void* value) {
  auto* trace = static_cast<Trace*>(value);
  trace->text += "k";
  CHECK_STR(trace->text.c_str(), "ABCcbak");
  delete trace;
  ++g_traces_right;
}

thread_local Trace* t_trace = nullptr;

struct Part {
  char name;
  explicit Part(char n) : name(n) {
    ++g_constructed;
    t_trace->text += name;
    sched_yield();
  }
  ~Part() {
    sched_yield();
    if (name == 'b') sleep_ms(1);
    t_trace->text += static_cast<char>(name - 'A' + 'a');
    ++g_destroyed;
  }
};

thread_local Part t_a('A');
thread_local Part t_b('B');

void use_function_local() {
  thread_local Part c('C');
  CHECK_EQ(c.name, 'C');
}

void run(bool by_exit) {
  t_trace = new Trace;
  CHECK_RC(pthread_setspecific(g_key, t_trace), 0);
  // Namespace-scope thread_locals of one translation unit are initialized together, in order of definition.
  CHECK_EQ(t_a.name, 'A');
  use_function_local();
  use_function_local();
  if (by_exit) pthread_exit(nullptr);
}

void* run_and_return(void*) {
  run(false);
  return nullptr;
}

void* run_and_exit(void*) {
  run(true);
  return nullptr;
}

void* use_nothing(void*) { return nullptr; }

}  // namespace

int main() {
  CHECK_RC(pthread_key_create(&g_key, on_key), 0);
  for (int batch = 0; batch < kBatches; ++batch) {
    std::vector<pthread_t> threads;
    for (int i = 0; i < kThreads; ++i)
      threads.push_back(start_thread(i % 3 == 0 ? run_and_exit : i % 3 == 1 ? run_and_return : use_nothing, nullptr));
    for (pthread_t thread : threads) join_thread(thread);
  }
  CHECK_EQ(g_traces_right.load(), kBatches * kThreads * 2 / 3);
  CHECK_EQ(g_destroyed.load(), g_constructed.load());
  CHECK_EQ(g_constructed.load(), kBatches * kThreads * 2 / 3 * 3);
  return 0;
}
