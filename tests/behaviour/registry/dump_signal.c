// VTSHIM_DUMP_SIGNAL: the signal makes a dump on stderr, interrupts nobody and ends nobody, whether main sleeps, computes or waits for a
// worker; a handler that the program installs for it wins, with one line. Shim only: natively the signal would end the program.
#include "../check.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>

static int g_end[2];
static atomic_int g_seen;

static void read_dump(void) {
  char text[8192];
  size_t used = 0;
  while (used < sizeof text - 1) {  // main's line comes first of the threads', ours is the second
    ssize_t n = read(g_end[0], text + used, sizeof text - 1 - used);
    CHECK(n > 0);
    used += (size_t)n;
    text[used] = 0;
    if (text[used - 1] == '\n' && strstr(text, "\"signaller\": ")) break;
  }
  CHECK(strstr(text, " virtual threads: ") != NULL);
  CHECK(strstr(text, " (main): ") != NULL);
  atomic_fetch_add(&g_seen, 1);
}

static void* signaller(void* arg) {
  CHECK_RC(pthread_setname_np(pthread_self(), "signaller"), 0);
  for (int i = 0; i < 5; ++i) {
    CHECK_OK(kill(getpid(), SIGUSR2));
    read_dump();
    usleep(2000);
  }
  return arg;
}

static void on_usr2(int signal) {
  (void)signal;
  atomic_fetch_add(&g_seen, 100);
}

int main(int argc, char** argv) {
  (void)argc;
  if (!dlsym(RTLD_DEFAULT, "vtshim_dump")) return 0;
  char number[16];
  snprintf(number, sizeof number, "%d", SIGUSR2);
  const char* set = getenv("VTSHIM_DUMP_SIGNAL");  // the tests' runner has another
  if (!set || strcmp(set, number) != 0) {
    CHECK_OK(setenv("VTSHIM_DUMP_SIGNAL", number, 1));
    execv("/proc/self/exe", argv);
    check_fail(__FILE__, __LINE__, errno, "execv");
  }
  CHECK_OK(pipe(g_end));
  int saved = dup(2);
  CHECK_OK(dup2(g_end[1], 2));
  CHECK_OK(kill(getpid(), SIGUSR2));  // before there are threads
  char text[8192];
  ssize_t n = read(g_end[0], text, sizeof text);
  CHECK(n > 0 && memmem(text, (size_t)n, " 0 virtual threads: ", 20));

  pthread_t thread = start_thread(signaller, NULL);
  struct timespec t = {0, 50000000};
  long long start = now_ms();
  CHECK_OK(nanosleep(&t, NULL));
  CHECK(now_ms() - start >= 49);
  join_thread(thread);
  thread = start_thread(signaller, NULL);
  while (atomic_load(&g_seen) < 10) {
  }
  join_thread(thread);

  CHECK(signal(SIGUSR2, on_usr2) != SIG_ERR);
  n = read(g_end[0], text, sizeof text);
  CHECK(n > 0 && memmem(text, (size_t)n, "VTSHIM_DUMP_SIGNAL", 18));
  CHECK_OK(raise(SIGUSR2));
  CHECK_EQ(atomic_load(&g_seen), 110);
  CHECK_OK(dup2(saved, 2));
  return 0;
}
