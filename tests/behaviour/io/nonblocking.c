// O_NONBLOCK by every way it can be set (creation flags, fcntl, FIONBIO, through a dup), and back: calls on an empty descriptor say
// EAGAIN at once, also after the same number stood for a blocking one on which threads waited. fcntl(2), ioctl_fionbio(2).
#include "../check.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static void say_again(int fd, int is_socket) {
  char buffer[16];
  struct iovec v = {buffer, sizeof buffer};
  CHECK_ERR(read(fd, buffer, sizeof buffer), EAGAIN);
  CHECK_ERR(readv(fd, &v, 1), EAGAIN);
  if (!is_socket) return;
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
  CHECK_ERR(recv(fd, buffer, sizeof buffer, 0), EAGAIN);
  CHECK_ERR(recv(fd, buffer, sizeof buffer, MSG_WAITALL), EAGAIN);
  CHECK_ERR(recvfrom(fd, buffer, sizeof buffer, 0, NULL, NULL), EAGAIN);
  CHECK_ERR(recvmsg(fd, &m, 0), EAGAIN);
}

static void* late_writer(void* arg) {
  sleep_ms(5);
  CHECK_EQ(write(*(int*)arg, "x", 1), 1);
  return NULL;
}

// The caller parks on fd several times: what is cached says "blocking".
static void wait_on(int fd, int other) {
  for (int i = 0; i < 5; ++i) {
    char c;
    pthread_t t = start_thread(late_writer, &other);
    CHECK_EQ(read(fd, &c, 1), 1);
    join_thread(t);
  }
}

static void* body(void* arg) {
  int pair[2], ends[2], on = 1, off = 0;
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  wait_on(pair[0], pair[1]);
  // FIONBIO, and off again.
  CHECK_OK(ioctl(pair[0], FIONBIO, &on));
  for (int i = 0; i < 40; ++i) say_again(pair[0], 1);
  CHECK_OK(ioctl(pair[0], FIONBIO, &off));
  wait_on(pair[0], pair[1]);
  // F_SETFL through a dup: the description is the same.
  int twin = dup(pair[0]);
  CHECK_OK(fcntl(twin, F_SETFL, fcntl(twin, F_GETFL) | O_NONBLOCK));
  say_again(pair[0], 1);
  CHECK_OK(fcntl(twin, F_SETFL, fcntl(twin, F_GETFL) & ~O_NONBLOCK));
  close(twin);
  wait_on(pair[0], pair[1]);
  // The same number, another description.
  int old = pair[0];
  close(pair[0]);
  close(pair[1]);
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
  CHECK_EQ(pair[0], old);
  say_again(pair[0], 1);
  close(pair[0]);
  close(pair[1]);
  // A stream's descriptor, closed by fclose.
  CHECK_OK(pipe(ends));
  FILE* stream = fdopen(ends[0], "r");
  CHECK(stream != NULL);
  wait_on(ends[0], ends[1]);
  old = ends[0];
  fclose(stream);
  close(ends[1]);
  CHECK_OK(pipe2(ends, O_NONBLOCK));
  CHECK_EQ(ends[0], old);
  say_again(ends[0], 0);
  // dup2 of a non-blocking one onto a blocking one's number.
  int blocking[2];
  CHECK_OK(pipe(blocking));
  wait_on(blocking[0], blocking[1]);
  CHECK_EQ(dup2(ends[0], blocking[0]), blocking[0]);
  say_again(blocking[0], 0);
  // The others.
  int event = eventfd(0, EFD_NONBLOCK);
  uint64_t count;
  CHECK_ERR(read(event, &count, sizeof count), EAGAIN);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  CHECK_OK(bind(listener, (struct sockaddr*)&address, sizeof address));
  CHECK_OK(listen(listener, 1));
  CHECK_ERR(accept(listener, NULL, NULL), EAGAIN);
  // A full pipe.
  char block[4096] = {0};
  ssize_t n;
  while ((n = write(ends[1], block, sizeof block)) > 0) {
  }
  CHECK(n == -1 && errno == EAGAIN);
  for (int i = 0; i < 2; ++i) close(ends[i]), close(blocking[i]);
  close(event);
  close(listener);
  return arg;
}

int main(void) {
  join_thread(start_thread(body, NULL));
  body(NULL);
  return 0;
}
