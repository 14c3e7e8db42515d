// [except.terminate]: an exception that leaves a thread's function calls the terminate handler on that thread, with the
// exception current; a joinable std::thread's destructor calls it too. In forked children.
#include "../check.h"

#include <exception>
#include <stdexcept>
#include <thread>

namespace {

thread_local int t_me;

[[noreturn]] void on_terminate() {
  std::exception_ptr current = std::current_exception();
  if (!current) _exit(20 + t_me);
  try {
    std::rethrow_exception(current);
  } catch (const std::runtime_error& error) {
    _exit(strcmp(error.what(), "nobody catches me") == 0 ? 10 + t_me : 1);
  }
}

void child_throws() {
  std::set_terminate(on_terminate);
  std::thread thread([] {
    t_me = 3;
    sleep_ms(1);
    throw std::runtime_error("nobody catches me");
  });
  thread.join();
}

void child_forgets_to_join() {
  std::set_terminate(on_terminate);
  t_me = 4;
  std::thread thread([] { sleep_ms(100000); });
}

}  // namespace

int main() {
  CHECK_CHILD_EXITS(fork_child(child_throws), 13);
  CHECK_CHILD_EXITS(fork_child(child_forgets_to_join), 24);
  return 0;
}
