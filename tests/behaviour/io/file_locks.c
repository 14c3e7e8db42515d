// Locks on files that another description or process holds: flock, fcntl's OFD and POSIX locks and lockf wait, get the
// lock when it is let go, and keep errno; LOCK_NB, F_SETLK and F_TLOCK say EAGAIN. flock(2), fcntl(2), lockf(3).
#include "io.h"

#include <stdatomic.h>
#include <sys/file.h>

enum { kThreads = 8, kRounds = 30 };
static char path[] = "/tmp/vtshim-locks-XXXXXX";
static long counter;
static int way;

static int lock(int fd, int on, int wait) {
  struct flock whole = {.l_type = on ? F_WRLCK : F_UNLCK, .l_whence = SEEK_SET};
  if (way == 0) return flock(fd, on ? LOCK_EX | (wait ? 0 : LOCK_NB) : LOCK_UN);
  return fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &whole);
}

static void* count(void* arg) {
  int fd = open(path, O_RDWR);
  CHECK_OK(fd);
  for (int i = 0; i < kRounds; ++i) {
    errno = 123;
    CHECK_EQ(lock(fd, 1, 1), 0);
    CHECK_EQ(errno, 123);
    long seen = counter;
    if (i % 10 == 0) sleep_ms(1);
    counter = seen + 1;
    CHECK_EQ(lock(fd, 0, 1), 0);
    CHECK_EQ(errno, 123);
  }
  CHECK_OK(close(fd));
  return arg;
}

static void* open_gate(void* arg) {
  sleep_ms(5);
  CHECK_OK(close(*(int*)arg));
  return NULL;
}

// POSIX locks are a process's: another process holds it, until the gate opens.
static void* wait_for_child(void* arg) {
  int gate[2], held[2], how = (int)(long)arg, fd = open(path, O_RDWR);
  struct flock mine = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = how * 10, .l_len = 5};
  char c;
  CHECK_OK(pipe(gate));
  CHECK_OK(pipe(held));
  pid_t pid = fork();
  CHECK_OK(pid);
  if (pid == 0) {
    CHECK_OK(close(gate[1]));
    CHECK_OK(fcntl(fd, F_SETLK, &mine));
    CHECK_EQ(write(held[1], "x", 1), 1);
    while (read(gate[0], &c, 1) > 0) {
    }
    _exit(0);
  }
  CHECK_EQ(read(held[0], &c, 1), 1);
  CHECK_ERR(fcntl(fd, F_SETLK, &mine), EAGAIN);
  CHECK_OK(lseek(fd, how * 10, SEEK_SET));
  CHECK_ERR(lockf(fd, F_TLOCK, 5), EAGAIN);
  CHECK_ERR(lockf(fd, F_TEST, 5), EACCES);
  pthread_t thread = start_thread(open_gate, &gate[1]);
  errno = 123;
  CHECK_EQ(how ? lockf(fd, F_LOCK, 5) : fcntl(fd, F_SETLKW, &mine), 0);
  CHECK_EQ(errno, 123);
  join_thread(thread);
  CHECK_CHILD_EXITS(pid, 0);
  CHECK_OK(close(gate[0]));
  close_both(held);
  CHECK_OK(close(fd));
  return NULL;
}

int main(void) {
  int fd = mkstemp(path), other = open(path, O_RDWR);
  CHECK_OK(fd);
  for (way = 0; way < 2; ++way) {
    pthread_t threads[kThreads];
    counter = 0;
    for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(count, NULL);
    count(NULL);
    for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
    CHECK_EQ(counter, (kThreads + 1) * kRounds);
    CHECK_EQ(lock(fd, 1, 0), 0);
    CHECK_ERR(lock(other, 1, 0), EAGAIN);
    CHECK_EQ(lock(fd, 0, 0), 0);
  }
  for (long how = 0; how < 2; ++how) {
    join_thread(start_thread(wait_for_child, (void*)how));
    wait_for_child((void*)how);
  }
  CHECK_ERR(flock(-1, LOCK_EX), EBADF);
  CHECK_ERR(flock(fd, 77), EINVAL);
  CHECK_OK(unlink(path));
  return 0;
}
