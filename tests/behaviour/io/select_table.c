// select(getdtablesize(), ...) with a set of FD_SETSIZE bits, as old programs call it: the kernel looks at no more bits than
// its table of descriptors has. The set ends where nothing may be touched. select(2).
#include "io.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>

static int count;

static void* late_writer(void* arg) {
  sleep_ms(2);
  CHECK_EQ(write(*(int*)arg, "x", 1), 1);
  return NULL;
}

static void* body(void* arg) {
  long page = sysconf(_SC_PAGESIZE);
  char* memory = mmap(NULL, 2 * (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  CHECK_OK(mprotect(memory + page, (size_t)page, PROT_NONE));
  fd_set* set = (fd_set*)(memory + page) - 1;
  int ends[2];
  CHECK_OK(pipe(ends));
  FD_ZERO(set);
  FD_SET(ends[0], set);
  struct timeval t = {0, 2000};
  CHECK_EQ(select(count, set, NULL, NULL, &t), 0);
  CHECK(!FD_ISSET(ends[0], set));
  FD_SET(ends[0], set);
  CHECK_EQ(pselect(count, NULL, NULL, set, &(struct timespec){0, 2000000}, NULL), 0);
  pthread_t writer = start_thread(late_writer, &ends[1]);
  FD_SET(ends[0], set);
  CHECK_EQ(select(count, set, NULL, NULL, NULL), 1);
  CHECK(FD_ISSET(ends[0], set));
  join_thread(writer);
  close_both(ends);
  CHECK_OK(munmap(memory, 2 * (size_t)page));
  return arg;
}

int main(void) {
  struct rlimit limit;
  CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
  limit.rlim_cur = limit.rlim_max;
  CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
  count = getdtablesize();
  CHECK(count > FD_SETSIZE);
  run_everywhere(4, body);
  count = 1 << 30;
  run_everywhere(1, body);
  return 0;
}
