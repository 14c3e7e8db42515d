// [basic.start.term]: exit() from a worker destroys that worker's thread_local objects, then the static ones, and not
// those of other threads; a thread's destructors are complete when join returns.
#include "../check.h"

#include <semaphore.h>

#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

int g_pipe[2];
sem_t g_ready;

void say(char c) { CHECK_EQ(write(g_pipe[1], &c, 1), 1); }

struct Says {
  char c;
  ~Says() {
    if (c != '\0') say(c);
  }
};

thread_local Says t_says{'\0'};

struct CountsDown {
  std::atomic<int>* counter = nullptr;
  ~CountsDown() {
    if (counter == nullptr) return;
    sleep_ms(5);
    --*counter;
  }
};

thread_local CountsDown t_counts;

void child() {
  static Says object{'S'};
  CHECK_OK(sem_init(&g_ready, 0, 0));
  t_says.c = 'M';  // the main thread's: not destroyed when another thread calls exit
  std::vector<std::thread> blocked;
  for (int i = 0; i < 5; ++i)
    blocked.emplace_back([] {
      t_says.c = 'B';
      CHECK_OK(sem_post(&g_ready));
      for (;;) sleep_ms(100000);
    });
  for (int i = 0; i < 5; ++i) CHECK_OK(sem_wait(&g_ready));
  std::thread exiting([] {
    t_says.c = 'W';
    sleep_ms(1);
    std::exit(6);
  });
  exiting.join();
}

}  // namespace

int main() {
  CHECK_OK(pipe(g_pipe));
  pid_t pid = fork_child(child);
  CHECK_OK(close(g_pipe[1]));
  CHECK_CHILD_EXITS(pid, 6);
  char text[16] = "";
  CHECK_OK(read(g_pipe[0], text, sizeof text - 1));
  CHECK_STR(text, "WS");

  for (int i = 0; i < 20; ++i) {
    std::atomic<int> counter{3};
    std::vector<std::thread> threads;
    for (int n = 0; n < 3; ++n) threads.emplace_back([&counter] { t_counts.counter = &counter; });
    for (std::thread& thread : threads) thread.join();
    CHECK_EQ(counter.load(), 0);
  }
  return 0;
}
