// As server_echo.c, and a message that begins with 'R' makes the connection's thread wait in a bare system call for the next byte, which
// it echoes. Main sits in accept all the while.
#include "../../progress/raw.h"

#include <arpa/inet.h>
#include <sys/socket.h>

static void* serve(void* arg) {
  int fd = (int)(long)arg;
  char text[64];
  ssize_t n;
  while ((n = read(fd, text, sizeof text)) > 0) {
    if (text[0] == 'R') CHECK_EQ(raw_call(SYS_read, fd, (long)text, n = 1, 0, 0, 0), 1);
    if (write(fd, text, (size_t)n) != n) break;
  }
  CHECK_OK(close(fd));
  return NULL;
}

int main(void) {
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  CHECK_OK(bind(listener, (struct sockaddr*)&address, size));
  CHECK_OK(listen(listener, 4096));
  CHECK_OK(getsockname(listener, (struct sockaddr*)&address, &size));
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  pthread_attr_t attr;
  CHECK_RC(pthread_attr_init(&attr), 0);
  CHECK_RC(pthread_attr_setstacksize(&attr, 64 << 10), 0);
  CHECK_RC(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED), 0);
  for (;;) {
    pthread_t thread;
    int fd = accept(listener, NULL, NULL);
    CHECK_OK(fd);
    CHECK_RC(pthread_create(&thread, &attr, serve, (void*)(long)fd), 0);
  }
}
