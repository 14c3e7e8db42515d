// Reads and writes of nothing: write(fd, "", 0) sends an empty datagram, and is nothing on streams and pipes; reads of
// nothing return at once, an eventfd refuses them. write(2), eventfd(2).
#include "io.h"

#include <sys/eventfd.h>

static void* body(void* arg) {
  int pair[2];
  char buffer[8] = "unused";
  struct iovec none = {buffer, 0};
  CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
  errno = 123;
  CHECK_EQ(write(pair[1], "", 0), 0);
  CHECK_EQ(send(pair[1], "", 0, 0), 0);
  CHECK_EQ(writev(pair[1], &none, 1), 0);  // the kernel drops this one
  CHECK_EQ(send(pair[1], "abc", 3, 0), 3);
  CHECK_EQ(recv(pair[0], buffer, sizeof buffer, 0), 0);
  CHECK_EQ(recv(pair[0], buffer, sizeof buffer, 0), 0);
  CHECK_EQ(recv(pair[0], buffer, sizeof buffer, 0), 3);
  CHECK_EQ(read(pair[0], buffer, 0), 0);
  // A datagram that is read in nothing is gone, one that isn't read stays.
  CHECK_EQ(send(pair[1], "first", 5, 0), 5);
  CHECK_EQ(send(pair[1], "next", 4, 0), 4);
  CHECK_EQ(recv(pair[0], buffer, 0, 0), 0);
  CHECK_EQ(read(pair[0], buffer, sizeof buffer), 4);
  close_both(pair);

  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  CHECK_EQ(write(pair[1], "", 0), 0);
  CHECK_EQ(send(pair[1], "", 0, 0), 0);
  CHECK_EQ(read(pair[0], buffer, 0), 0);
  CHECK_EQ(recv(pair[0], buffer, 1, MSG_DONTWAIT), -1);
  CHECK_EQ(errno, EAGAIN);
  close_both(pair);

  CHECK_OK(pipe(pair));
  CHECK_EQ(write(pair[1], "", 0), 0);
  CHECK_EQ(read(pair[0], buffer, 0), 0);
  close_both(pair);

  int event = eventfd(1, 0);
  CHECK_ERR(read(event, buffer, 0), EINVAL);
  CHECK_ERR(read(event, buffer, 7), EINVAL);
  CHECK_ERR(write(event, buffer, 0), EINVAL);
  CHECK_EQ(read(event, buffer, 8), 8);
  CHECK_OK(close(event));

  int fd = unnamed_file(0);
  CHECK_EQ(write(fd, "", 0), 0);
  CHECK_EQ(read(fd, buffer, 0), 0);
  CHECK_OK(close(fd));
  CHECK_ERR(read(-1, buffer, 0), EBADF);
  CHECK_ERR(write(-1, buffer, 0), EBADF);
  return arg;
}

int main(void) {
  run_everywhere(4, body);
  return 0;
}
