// fork(2) while another thread is in fflush(NULL), which waits for a slow reader and has libc's list of streams meanwhile: fork comes after it. A third
// thread, who reads, goes on, and may create a fourth. Main forks, and a worker does. A signal for who forks has been handled when fork has returned,
// or a moment later, whatever the caller calls. (Under every back end fork waited in the kernel for the list with the runtime's locks held, on the OS thread
// whose ring had the write; a signal of main's waited for main's next call.)
#include "../check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

enum { kRounds = 10, kBytes = 200000 };

static int g_pipe[2];
static FILE* g_stream;
static char g_buffer[kBytes];
static atomic_int g_flushing, g_forking;
static pthread_t g_forker;
static volatile sig_atomic_t g_handled;

static void handler(int signal) { g_handled = signal; }

static void* flushes(void* arg) {
  for (int i = 0; i < kBytes / 2; ++i) CHECK(putc_unlocked('x', g_stream) == 'x');
  atomic_store(&g_flushing, 1);
  CHECK_EQ(fflush(NULL), 0);
  return arg;
}

static void* nothing(void* arg) { return arg; }

static void* reads(void* arg) {
  while (!atomic_load(&g_forking)) usleep(1000);
  usleep(20000);
  CHECK_RC(pthread_kill(g_forker, SIGUSR1), 0);
  char text[4096];
  join_thread(start_thread(nothing, NULL));
  for (int left = kBytes / 2; left > 0;) {
    ssize_t n = read(g_pipe[0], text, sizeof text);
    CHECK(n > 0);
    left -= (int)n;
  }
  return arg;
}

static void* forks(void* arg) {
  g_forker = pthread_self();
  for (int i = 0; i < kRounds; ++i) {
    atomic_store(&g_flushing, 0);
    atomic_store(&g_forking, 0);
    g_handled = 0;
    pthread_t reader = start_thread(reads, NULL), flusher = start_thread(flushes, NULL);
    while (!atomic_load(&g_flushing)) usleep(1000);
    usleep(5000);
    atomic_store(&g_forking, 1);
    pid_t pid = fork();
    CHECK_OK(pid);
    if (pid == 0) {
      join_thread(start_thread(nothing, NULL));
      _exit(7);
    }
    for (uint64_t turns = 0; !g_handled && turns < 3000000000u; ++turns) {}
    CHECK_EQ(g_handled, SIGUSR1);
    CHECK_CHILD_EXITS(pid, 7);
    join_thread(flusher);
    join_thread(reader);
  }
  return arg;
}

int main(void) {
  CHECK_OK(pipe(g_pipe));
  CHECK((g_stream = fdopen(g_pipe[1], "w")) != NULL);
  CHECK_EQ(setvbuf(g_stream, g_buffer, _IOFBF, sizeof g_buffer), 0);
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  forks(NULL);
  join_thread(start_thread(forks, NULL));
  return 0;
}
