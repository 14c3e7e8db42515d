// popen(3), pclose(3), system(3) from several workers at once: output and input arrive whole, exit statuses are right,
// a thread that waits for its command holds up nobody else.
#include "../check.h"

#include <stdatomic.h>

enum { kWorkers = 6, kRounds = 4 };

static atomic_int g_done;
static atomic_long g_ticks;

static void* run(void* arg) {
  int me = (int)(long)arg;
  for (int i = 0; i < kRounds; ++i) {
    char command[128];
    char line[128] = "";
    snprintf(command, sizeof command, "exit %d", me + i);
    int status = system(command);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), me + i);

    snprintf(command, sizeof command, "echo out %d %d; exit %d", me, i, me);
    FILE* file = popen(command, "r");
    CHECK(file != NULL);
    CHECK(fgets(line, sizeof line, file) != NULL);
    char want[128];
    snprintf(want, sizeof want, "out %d %d\n", me, i);
    CHECK_STR(line, want);
    CHECK(fgets(line, sizeof line, file) == NULL);
    status = pclose(file);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), me);

    file = popen("test \"$(wc -c)\" -eq 100000", "w");
    CHECK(file != NULL);
    for (int n = 0; n < 10000; ++n) CHECK(fputs("0123456789", file) >= 0);
    status = pclose(file);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
  }
  atomic_fetch_add(&g_done, 1);
  return NULL;
}

static void* tick(void* arg) {
  while (atomic_load(&g_done) < kWorkers) {
    atomic_fetch_add(&g_ticks, 1);
    sleep_ms(1);
  }
  return arg;
}

int main(void) {
  CHECK(system(NULL) != 0);
  pthread_t ticker = start_thread(tick, NULL);
  pthread_t threads[kWorkers];
  for (long i = 0; i < kWorkers; ++i) threads[i] = start_thread(run, (void*)(i + 1));
  for (int i = 0; i < kWorkers; ++i) join_thread(threads[i]);
  join_thread(ticker);
  CHECK(atomic_load(&g_ticks) >= 3);
  // A command killed by a signal.
  int status = system("kill -9 $$");
  CHECK(WIFSIGNALED(status));
  CHECK_EQ(WTERMSIG(status), 9);
  return 0;
}
