// The plainest server there is: a thread per connection, blocking recv and send. Prints "port N" and runs until killed.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

enum { kMessage = 64 };

static void *serve(void *arg) {
  int fd = (int)(intptr_t)arg;
  char buffer[kMessage];
  for (;;) {
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got <= 0) break;
    for (ssize_t sent = 0; sent < got;) {
      ssize_t n = send(fd, buffer + sent, (size_t)(got - sent), MSG_NOSIGNAL);
      if (n <= 0) goto done;
      sent += n;
    }
  }
done:
  close(fd);
  return NULL;
}

int main(void) {
  struct rlimit files;
  if (!getrlimit(RLIMIT_NOFILE, &files)) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  BENCH_CHECK(listener >= 0);
  BENCH_CHECK(!bind(listener, (struct sockaddr *)&address, length));
  BENCH_CHECK(!listen(listener, 4096));
  BENCH_CHECK(!getsockname(listener, (struct sockaddr *)&address, &length));
  printf("port %d\n", ntohs(address.sin_port));
  fflush(stdout);
  for (;;) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0 && errno == EINTR) continue;
    BENCH_CHECK(fd >= 0);
    BENCH_CHECK(!setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
    pthread_t thread;
    BENCH_OK(pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd));
    BENCH_OK(pthread_detach(thread));
  }
}
