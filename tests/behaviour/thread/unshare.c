// unshare(CLONE_FS) is the calling thread's own affair: the others keep their working directory, also those that start after its end.
#include "../check.h"

#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>

static atomic_int stop;
static char home[4096];

static void* other(void* arg) {
  do {
    char here[4096];
    CHECK(getcwd(here, sizeof here));
    CHECK_STR(here, home);
    sleep_ms(1);
  } while (arg && !atomic_load(&stop));
  return NULL;
}

static void* loner(void* arg) {
  (void)arg;
  CHECK_ERR(unshare(-1), EINVAL);
  CHECK_OK(unshare(CLONE_FS));
  int mine = open("/proc/self/ns/uts", O_RDONLY);
  CHECK_OK(mine);
  CHECK(setns(mine, CLONE_NEWUTS) == 0 || errno == EPERM);  // to where it is
  CHECK_OK(close(mine));
  CHECK_ERR(setns(-1, 0), EBADF);
  CHECK_OK(chdir("/proc"));
  for (int i = 0; i < 20; ++i) {
    char here[4096];
    CHECK(getcwd(here, sizeof here));
    CHECK_STR(here, "/proc");
    if (i % 2) sleep_ms(2);
    else sched_yield();
  }
  return NULL;
}

int main(void) {
  CHECK(getcwd(home, sizeof home));
  pthread_t others[8], loners[3];
  for (int i = 0; i < 8; ++i) others[i] = start_thread(other, &stop);
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 3; ++i) loners[i] = start_thread(loner, NULL);
    for (int i = 0; i < 3; ++i) join_thread(loners[i]);
    for (int i = 0; i < 20; ++i) join_thread(start_thread(other, NULL));
  }
  atomic_store(&stop, 1);
  for (int i = 0; i < 8; ++i) join_thread(others[i]);
  return 0;
}
