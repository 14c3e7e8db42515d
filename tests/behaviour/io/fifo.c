// open waits for a FIFO's other end, by each of its names, while others go on; what doesn't wait; regular files with modes and flags as ever.
// open(2), fifo(7), mkfifo(3).
#include "io.h"

#include <sys/stat.h>

int __open(const char*, int, ...);
int __open64(const char*, int, ...);
int __open_2(const char*, int);
int __open64_2(const char*, int);
int __openat_2(int, const char*, int);
int __openat64_2(int, const char*, int);

static int open_way(int way, const char* path, int flags) {
  switch (way) {
    case 0: return open(path, flags);
    case 1: return open64(path, flags);
    case 2: return openat(AT_FDCWD, path, flags);
    case 3: return openat64(AT_FDCWD, path, flags);
    case 4: return __open(path, flags);
    case 5: return __open64(path, flags);
    case 6: return __open_2(path, flags);
    case 7: return __open64_2(path, flags);
    case 8: return __openat_2(AT_FDCWD, path, flags);
    case 9: return __openat64_2(AT_FDCWD, path, flags);
    case 10: return flags == O_WRONLY ? creat(path, 0600) : open(path, flags);
    default: return flags == O_WRONLY ? creat64(path, 0600) : open(path, flags);
  }
}
enum { kWays = 12 };

static char folder[] = "/tmp/vtshim-fifo-XXXXXX";

static void name(char* path, int way, int kind) { snprintf(path, 64, "%s/%d-%d", folder, way, kind); }

static void make(const char* path, int how) {
  switch (how % 4) {
    case 0: CHECK_OK(mkfifo(path, 0600)); break;
    case 1: CHECK_OK(mkfifoat(AT_FDCWD, path, 0600)); break;
    case 2: CHECK_OK(mknod(path, S_IFIFO | 0600, 0)); break;
    case 3: CHECK_OK(mknodat(AT_FDCWD, path, S_IFIFO | 0600, 0)); break;
  }
}

// All readers first, or all writers first: as many wait at once.
static int write_first;
static void* end_of(void* arg) {
  int way = (int)(long)arg / 2, writes = (int)(long)arg % 2;
  char path[64], c = 0;
  name(path, way, write_first);
  errno = 123;
  int fd = open_way(way, path, writes ? O_WRONLY : O_RDONLY);
  CHECK_OK(fd);
  CHECK_EQ(errno, 123);
  if (writes) {
    CHECK_EQ(write(fd, "x", 1), 1);
  } else {
    CHECK_EQ(read(fd, &c, 1), 1);
    CHECK_EQ(c, 'x');
    CHECK_EQ(read(fd, &c, 1), 0);
  }
  CHECK_OK(close(fd));
  return NULL;
}

static void files(void) {
  char path[64];
  struct stat s;
  mode_t mask = umask(022);
  snprintf(path, sizeof path, "%s/file", folder);
  int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0640);
  CHECK_OK(fd);
  CHECK_OK(fstat(fd, &s));
  CHECK_EQ(s.st_mode & 07777, 0640);
  CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
  CHECK_EQ(write(fd, "abc", 3), 3);
  CHECK_OK(close(fd));
  CHECK_ERR(open(path, O_CREAT | O_EXCL | O_RDWR, 0640), EEXIST);
  CHECK_ERR(open(path, O_RDONLY | O_DIRECTORY), ENOTDIR);
  CHECK_OK(fd = creat(path, 0666));
  CHECK_OK(fstat(fd, &s));
  CHECK_EQ(s.st_size, 0);
  CHECK_OK(close(fd));
  CHECK_OK(fd = openat(AT_FDCWD, folder, O_TMPFILE | O_RDWR, 0604));
  CHECK_OK(fstat(fd, &s));
  CHECK_EQ(s.st_mode & 07777, 0604);
  CHECK_OK(close(fd));
  CHECK_OK(unlink(path));
  CHECK_ERR(open(path, O_RDONLY), ENOENT);
  CHECK_ERR(open((const char*)8, O_RDONLY), EFAULT);
  CHECK_ERR(openat(-1, "x", O_RDONLY), EBADF);
  umask(mask);
}

static void* others(void* arg) {
  char path[64];
  name(path, 99, 0);
  CHECK_OK(mkfifo(path, 0600));
  CHECK_ERR(mkfifo(path, 0600), EEXIST);
  CHECK_ERR(open(path, O_WRONLY | O_NONBLOCK), ENXIO);
  int reads = open(path, O_RDONLY | O_NONBLOCK), writes = open(path, O_WRONLY), both = open(path, O_RDWR);
  CHECK(reads >= 0 && writes >= 0 && both >= 0);
  CHECK_OK(close(reads));
  CHECK_OK(close(writes));
  CHECK_OK(close(both));
  CHECK_OK(unlink(path));
  files();
  return arg;
}

int main(void) {
  CHECK(mkdtemp(folder) != NULL);
  join_thread(start_thread(others, NULL));
  files();
  for (write_first = 0; write_first < 2; ++write_first) {
    pthread_t threads[2 * kWays];
    char path[64];
    for (int i = 0; i < kWays; ++i) {
      name(path, i, write_first);
      make(path, i);
    }
    for (long i = 0; i < kWays; ++i) threads[2 * i] = start_thread(end_of, (void*)(2 * i + write_first));
    join_thread(start_thread(end_of, (void*)(long)!write_first));
    for (long i = 1; i < kWays; ++i) threads[2 * i + 1] = start_thread(end_of, (void*)(2 * i + !write_first));
    for (int i = 0; i < 2 * kWays; ++i)
      if (i != 1) join_thread(threads[i]);
    for (int i = 0; i < kWays; ++i) {
      name(path, i, write_first);
      CHECK_OK(unlink(path));
    }
  }
  CHECK_OK(rmdir(folder));
  return 0;
}
