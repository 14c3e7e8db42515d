// The plainest server there is: a thread per connection, blocking recv and send. Prints "port N" and runs until killed.
#include "peers/listen.h"

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
  int one = 1, listener = listen_anywhere(0);
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
