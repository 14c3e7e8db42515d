// A program that goes without threads for a while and then creates some, over and over: what was shut down meanwhile, or is being shut
// down just then, starts again. (Main began to create a thread as a virtual thread, and became a platform thread in the middle of it, or in the middle of a handler.)
#include "../check.h"

#include <signal.h>
#include <sys/time.h>

static void* next(void* arg) { return (char*)arg + 1; }

static void pause_for(long ns) {
  struct timespec t = {0, ns};
  while (nanosleep(&t, &t)) CHECK_EQ(errno, EINTR);
}

static void on_alarm(int signal) {
  (void)signal;
  struct timespec t = {0, 1500000};
  nanosleep(&t, NULL);
}

int main(void) {
  struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
  CHECK_OK(sigaction(SIGALRM, &action, NULL));
  for (long i = 0; i < 150; ++i) {
    if (i == 100) {
      struct itimerval often = {{0, 2500}, {0, 2500}};
      CHECK_OK(setitimer(ITIMER_REAL, &often, NULL));
    }
    pthread_t thread = start_thread(next, (void*)i);
    CHECK_EQ((long)join_thread(thread), i + 1);
    pause_for(2000000 + i % 50 * 200000);
    if (i % 10 == 9) {
      pid_t child = fork();
      CHECK_OK(child);
      if (child == 0) _exit(7);
      int status;
      CHECK_EQ(waitpid(child, &status, 0), child);
      CHECK_EQ(WEXITSTATUS(status), 7);
    }
  }
  return 0;
}
