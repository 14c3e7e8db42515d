// connect: done, refused, nobody's address, twice, on UDP (and dissolved again), on a non-blocking socket; a UNIX
// listener whose backlog is full makes it wait until somebody accepts. connect(2).
#include "io.h"

#include <stdatomic.h>

enum { kWaiting = 5 };
typedef struct {
  struct sockaddr_un address;
  socklen_t size;
  atomic_int done;
} Crowd;

static void* one_of_crowd(void* arg) {
  Crowd* crowd = arg;
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  errno = 123;
  CHECK_EQ(connect(fd, (struct sockaddr*)&crowd->address, crowd->size), 0);
  CHECK_EQ(errno, 123);
  atomic_fetch_add(&crowd->done, 1);
  char c;
  CHECK_EQ(read(fd, &c, 1), 1);
  CHECK_OK(close(fd));
  return NULL;
}

static void test_backlog(void) {
  Crowd crowd = {.done = 0};
  pthread_t threads[kWaiting];
  int listener = socket(AF_UNIX, SOCK_STREAM, 0), filler = socket(AF_UNIX, SOCK_STREAM, 0), probe;
  crowd.size = unix_address(&crowd.address);
  CHECK_OK(bind(listener, (struct sockaddr*)&crowd.address, crowd.size));
  CHECK_OK(listen(listener, 0));
  CHECK_EQ(connect(filler, (struct sockaddr*)&crowd.address, crowd.size), 0);  // the backlog is full
  CHECK_OK(probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
  CHECK_ERR(connect(probe, (struct sockaddr*)&crowd.address, crowd.size), EAGAIN);
  for (int i = 0; i < kWaiting; ++i) threads[i] = start_thread(one_of_crowd, &crowd);
  sleep_ms(20);
  CHECK_EQ(crowd.done, 0);
  for (int i = 0; i <= kWaiting; ++i) {
    int fd = accept(listener, NULL, NULL);
    CHECK_OK(fd);
    CHECK_EQ(send(fd, "x", 1, MSG_NOSIGNAL), 1);
    CHECK_OK(close(fd));
  }
  for (int i = 0; i < kWaiting; ++i) join_thread(threads[i]);
  CHECK_OK(close(probe));
  CHECK_OK(close(filler));
  CHECK_OK(close(listener));
}

static void test_tcp(void) {
  struct sockaddr_in address, nobody = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int listener = tcp_listener(&address, 5), fd = socket(AF_INET, SOCK_STREAM, 0), server, on;
  socklen_t size = sizeof on;
  errno = 123;
  CHECK_EQ(connect(fd, (struct sockaddr*)&address, sizeof address), 0);
  CHECK_EQ(errno, 123);
  CHECK_ERR(connect(fd, (struct sockaddr*)&address, sizeof address), EISCONN);
  CHECK_OK(server = accept(listener, NULL, NULL));
  CHECK_OK(close(server));
  CHECK_OK(close(fd));
  // Non-blocking: in progress, then writable.
  CHECK_OK(fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  int r = connect(fd, (struct sockaddr*)&address, sizeof address);
  if (r) {
    CHECK(r == -1 && errno == EINPROGRESS);
    struct pollfd p = {fd, POLLOUT, 0};
    CHECK_EQ(poll(&p, 1, -1), 1);
  }
  CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &on, &size));
  CHECK_EQ(on, 0);
  r = connect(fd, (struct sockaddr*)&address, sizeof address);  // success is told once
  CHECK(r == 0 || errno == EISCONN);
  CHECK_ERR(connect(fd, (struct sockaddr*)&address, sizeof address), EISCONN);
  CHECK_OK(close(fd));
  CHECK_OK(close(listener));
  // A port that somebody holds, but on which nobody listens.
  CHECK_OK(listener = socket(AF_INET, SOCK_STREAM, 0));
  CHECK_OK(bind(listener, (struct sockaddr*)&nobody, sizeof nobody));
  size = sizeof nobody;
  CHECK_OK(getsockname(listener, (struct sockaddr*)&nobody, &size));
  CHECK_OK(fd = socket(AF_INET, SOCK_STREAM, 0));
  CHECK_ERR(connect(fd, (struct sockaddr*)&nobody, sizeof nobody), ECONNREFUSED);
  CHECK_ERR(connect(fd, (struct sockaddr*)&nobody, sizeof nobody), ECONNREFUSED);
  CHECK_ERR(connect(fd, (struct sockaddr*)&nobody, 3), EINVAL);
  nobody.sin_family = AF_UNIX;
  CHECK_ERR(connect(fd, (struct sockaddr*)&nobody, sizeof nobody), EAFNOSUPPORT);
  CHECK_OK(close(fd));
  CHECK_OK(close(listener));
}

static void* body(void* arg) {
  test_backlog();
  test_tcp();
  // UDP: an address is noted, taken back, changed.
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(9)};
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  errno = 123;
  CHECK_EQ(connect(fd, (struct sockaddr*)&address, sizeof address), 0);
  CHECK_EQ(connect(fd, (struct sockaddr*)&address, sizeof address), 0);
  CHECK_OK(getpeername(fd, (struct sockaddr*)&address, &size));
  CHECK_EQ(connect(fd, &none, sizeof none), 0);
  CHECK_EQ(errno, 123);
  CHECK_ERR(getpeername(fd, (struct sockaddr*)&address, &size), ENOTCONN);
  CHECK_OK(close(fd));
  // UNIX: a name that nobody listens on; no such file.
  struct sockaddr_un name;
  size = unix_address(&name);
  CHECK_OK(fd = socket(AF_UNIX, SOCK_STREAM, 0));
  CHECK_ERR(connect(fd, (struct sockaddr*)&name, size), ECONNREFUSED);
  struct sockaddr_un file = {AF_UNIX, "/tmp/vtshim-no-such-socket"};
  CHECK_ERR(connect(fd, (struct sockaddr*)&file, sizeof file), ENOENT);
  CHECK_OK(close(fd));
  CHECK_ERR(connect(-1, (struct sockaddr*)&name, size), EBADF);
  CHECK_OK(fd = open("/dev/null", O_RDONLY));
  CHECK_ERR(connect(fd, (struct sockaddr*)&name, size), ENOTSOCK);
  CHECK_OK(close(fd));
  return arg;
}

int main(void) {
  run_everywhere(3, body);
  return 0;
}
