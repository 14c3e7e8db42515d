// Every checked variant by its own name, with room enough: the same as the plain function, also while it waits. With
// too little room: the process ends by SIGABRT, from a thread as from main. glibc's debug/*_chk.c.
#include "io.h"

#include <sys/select.h>

ssize_t __read_chk(int, void*, size_t, size_t);
ssize_t __pread_chk(int, void*, size_t, off_t, size_t);
ssize_t __pread64_chk(int, void*, size_t, off64_t, size_t);
ssize_t __recv_chk(int, void*, size_t, size_t, int);
ssize_t __recvfrom_chk(int, void*, size_t, size_t, int, struct sockaddr*, socklen_t*);
int __poll_chk(struct pollfd*, nfds_t, int, size_t);
int __ppoll_chk(struct pollfd*, nfds_t, const struct timespec*, const sigset_t*, size_t);
long __fdelt_chk(long);

static void* late_writer(void* arg) {
  sleep_ms(1);
  CHECK_EQ(write(*(int*)arg, "abcd", 4), 4);
  return NULL;
}

enum { kWays = 8 };
static int pair[2], file, way, in_thread;

// One call with `size` asked for and `room` there; `fd` has or gets 4 bytes.
static ssize_t call(int fd, size_t size, size_t room) {
  char buffer[8];
  struct sockaddr_storage from;
  socklen_t from_size = sizeof from;
  struct pollfd p[2] = {{fd, POLLIN, 0}, {-1, 0, 0}};
  switch (way) {
    case 0:
      return __read_chk(fd, buffer, size, room);
    case 1:
      return __pread_chk(file, buffer, size, 0, room);
    case 2:
      return __pread64_chk(file, buffer, size, 0, room);
    case 3:
      return __recv_chk(fd, buffer, size, room, 0);
    case 4:
      return __recvfrom_chk(fd, buffer, size, room, 0, (struct sockaddr*)&from, &from_size);
    case 5:
      return __recvfrom_chk(fd, buffer, size, room, 0, NULL, NULL);
    case 6:
      return __poll_chk(p, size / 4, -1, room * sizeof *p / 4);
    default:
      return __ppoll_chk(p, size / 4, NULL, NULL, room * sizeof *p / 4);
  }
}

static void* overflow(void* arg) {
  call(pair[0], 8, 4);
  return arg;
}

static void child(void) {
  CHECK_OK(close(2));  // glibc's last words
  if (in_thread)
    join_thread(start_thread(overflow, NULL));
  else
    overflow(NULL);
}

static void* body(void* arg) {
  int mine[2];
  char rest[8];
  for (way = 0; way < kWays; ++way)
    for (int round = 0; round < 3; ++round) {
      CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, mine));
      pthread_t writer = start_thread(late_writer, &mine[1]);
      errno = 123;
      CHECK_EQ(call(mine[0], 4, round ? SIZE_MAX / sizeof(struct pollfd) : 4), way >= 6 ? 1 : 4);
      CHECK_EQ(errno, 123);
      if (way == 1 || way == 2 || way >= 6) CHECK_EQ(read(mine[0], rest, sizeof rest), 4);
      join_thread(writer);
      close_both(mine);
    }
  for (way = 0; way < 3; ++way) CHECK_EQ(call(file, 0, 0), 0);
  CHECK_EQ(__fdelt_chk(FD_SETSIZE - 1), (FD_SETSIZE - 1) / 64);
  return arg;
}

int main(void) {
  file = unnamed_file(0);
  CHECK_EQ(write(file, "abcdefgh", 8), 8);
  join_thread(start_thread(body, NULL));  // in turn: `way` is shared
  body(NULL);
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  CHECK_EQ(write(pair[1], "abcd", 4), 4);
  for (way = 0; way < kWays; ++way)
    for (in_thread = 0; in_thread < 2; ++in_thread) {
      int status = wait_status(fork_child(child));
      CHECK(WIFSIGNALED(status));
      CHECK_EQ(WTERMSIG(status), SIGABRT);
    }
  return 0;
}
