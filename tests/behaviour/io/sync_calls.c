// sync, syncfs, msync and sync_file_range: results and errors, from many threads at once. sync(2), msync(2), sync_file_range(2).
#include "io.h"

#include <sys/mman.h>

static void* body(void* arg) {
  int file = unnamed_file(0), fds[2];
  CHECK_OK(ftruncate(file, 8192));
  // Far from where the kernel would put another's mapping, a new carrier's ring say, when it's gone.
  char* map = mmap((void*)0x100000000000, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, file, 0);
  CHECK(map != MAP_FAILED);
  memset(map, 'x', 8192);
  errno = 123;
  CHECK_EQ(msync(map, 8192, MS_SYNC), 0);
  CHECK_EQ(msync(map, 8192, MS_ASYNC), 0);
  CHECK_EQ(sync_file_range(file, 0, 4096, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER), 0);
  CHECK_EQ(sync_file_range(file, 0, 0, 0), 0);
  CHECK_EQ(syncfs(file), 0);
  sync();
  CHECK_EQ(errno, 123);
  CHECK_ERR(msync(map + 1, 10, MS_SYNC), EINVAL);
  CHECK_ERR(msync(map, 10, MS_SYNC | MS_ASYNC), EINVAL);
  CHECK_ERR(syncfs(-1), EBADF);
  CHECK_OK(pipe(fds));
  CHECK_ERR(sync_file_range(fds[0], 0, 10, SYNC_FILE_RANGE_WAIT_AFTER), ESPIPE);
  CHECK_OK(munmap(map, 8192));
  CHECK_ERR(msync(map, 4096, MS_SYNC), ENOMEM);
  close_both(fds);
  CHECK_OK(close(file));
  return arg;
}

int main(void) {
  body(NULL);
  join_thread(start_thread(body, NULL));
  return 0;
}
