// O_NONBLOCK that comes and goes, by fcntl(2) and ioctl(FIONBIO), through another number of the same description, with the number's next file, and
// in a forked child: each read and write waits, or fails with EAGAIN, as its description says at that moment, after however many that didn't.
#include "../check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kMany = 40 };

static int g_pair[2];

static void set_flag(int fd, bool nonblocking) {
  int flags = fcntl(fd, F_GETFL);
  CHECK(flags >= 0);
  CHECK_OK(fcntl(fd, F_SETFL, nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}

// There and back, by each of the calls, so often that whatever is learned of them has been learned.
static void exchange(int from, int to) {
  char byte = 'x';
  struct iovec one = {&byte, 1};
  for (int i = 0; i < kMany; ++i) {
    CHECK((i & 1 ? write(from, &byte, 1) : writev(from, &one, 1)) == 1);
    CHECK((i & 2 ? read(to, &byte, 1) : readv(to, &one, 1)) == 1);
  }
}

static void* writer(void* arg) {
  CHECK(write(*(int*)arg, "y", 1) == 1);
  return NULL;
}

// Nothing is there: the read waits for the other thread, which is started behind it.
static void read_waits(int from, int to) {
  char byte = 0;
  pthread_t t = start_thread(writer, &from);
  CHECK(read(to, &byte, 1) == 1 && byte == 'y');
  join_thread(t);
}

static void read_fails(int fd) {
  char byte;
  struct iovec one = {&byte, 1};
  CHECK(read(fd, &byte, 1) == -1 && errno == EAGAIN);
  CHECK(readv(fd, &one, 1) == -1 && errno == EAGAIN);
}

// A full buffer: EAGAIN, or the rest goes out when somebody takes what is there.
static void* taker(void* arg) {
  static char buffer[1 << 16];
  size_t* left = arg;
  for (ssize_t n; *left && (n = read(g_pair[1], buffer, sizeof buffer)) > 0;) *left -= (size_t)n;
  return NULL;
}
static void fill(int fd, bool nonblocking) {
  static char buffer[1 << 20];
  set_flag(fd, true);
  size_t filled = 0;
  for (ssize_t n; (n = write(fd, buffer, sizeof buffer)) > 0;) filled += (size_t)n;
  CHECK(errno == EAGAIN);
  set_flag(fd, nonblocking);
  size_t left = filled + (nonblocking ? 0 : sizeof buffer);
  if (nonblocking) CHECK(write(fd, buffer, 1) == -1 && errno == EAGAIN);
  pthread_t t = start_thread(taker, &left);
  if (!nonblocking) CHECK(write(fd, buffer, sizeof buffer) == sizeof buffer);
  join_thread(t);
  CHECK(left == 0);
}

static void* run(void* pipes) {
  int* p = pipes;
  int to = p[0], from = p[1], on = 1, off = 0;
  exchange(from, to);
  read_waits(from, to);
  set_flag(to, true);
  read_fails(to);
  exchange(from, to);
  read_fails(to);
  set_flag(to, false);
  read_waits(from, to);
  exchange(from, to);

  CHECK_OK(ioctl(to, FIONBIO, &on));
  exchange(from, to);
  read_fails(to);
  CHECK_OK(ioctl(to, FIONBIO, &off));
  read_waits(from, to);

  // Another number of the same description.
  int other = dup(to);
  CHECK(other >= 0);
  set_flag(other, true);
  exchange(from, to);
  read_fails(to);
  set_flag(other, false);
  read_waits(from, to);
  CHECK_OK(close(other));

  // A child has the same description, and does it behind our back.
  set_flag(to, true);
  exchange(from, to);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    set_flag(to, false);
    _exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  read_waits(from, to);

  // The number's next file.
  set_flag(to, true);
  exchange(from, to);
  int fresh[2];
  CHECK_OK(pipe(fresh));
  CHECK(dup2(fresh[0], to) == to);
  read_waits(fresh[1], to);
  exchange(fresh[1], to);
  CHECK_OK(close(fresh[0]));
  CHECK_OK(close(fresh[1]));
  return NULL;
}

int main(void) {
  int pipes[2], sockets[2];
  CHECK_OK(pipe(pipes));
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, g_pair));
  join_thread(start_thread(run, pipes));
  join_thread(start_thread(run, sockets));
  exchange(g_pair[0], g_pair[1]);
  fill(g_pair[0], true);
  fill(g_pair[0], false);
  run((int[]){dup(g_pair[1]), dup(g_pair[0])});
  return 0;
}
