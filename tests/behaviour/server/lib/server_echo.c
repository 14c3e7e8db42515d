// A thread per connection, blocking reads and writes; SIGINT ends it cleanly. Prints its port.
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
static void stop(int s) {
  (void)s;
  _exit(0);
}
static void *serve(void *a) {
  int fd = (int)(long)a;
  char b[256];
  ssize_t n;
  while ((n = read(fd, b, sizeof b)) > 0)
    if (write(fd, b, (size_t)n) != n) break;
  close(fd);
  return NULL;
}
int main(void) {
  signal(SIGINT, stop);
  int l = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t n = sizeof a;
  if (bind(l, (struct sockaddr *)&a, n) || listen(l, 4096) || getsockname(l, (struct sockaddr *)&a, &n)) return 1;
  printf("%d\n", ntohs(a.sin_port));
  fflush(stdout);
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, 64 << 10);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  for (;;) {
    int fd = accept(l, NULL, NULL);
    pthread_t t;
    if (fd < 0 || pthread_create(&t, &attr, serve, (void *)(long)fd)) return 2;
  }
}
