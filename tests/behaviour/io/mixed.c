// Pipes, sockets, poll, select, timeouts, files, read-write locks and children, from workers and from the main thread.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#define CHECK(c)                                                                \
  do {                                                                          \
    if (!(c)) {                                                                 \
      fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #c, errno); \
      _exit(1);                                                                 \
    }                                                                           \
  } while (0)
static long ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
static void *writer(void *a) {
  int fd = (int)(long)a;
  char *b = malloc(1 << 20);
  memset(b, 'x', 1 << 20);
  CHECK(write(fd, b, 1 << 20) == 1 << 20);
  free(b);
  close(fd);
  return 0;
}
static void *work(void *a) {
  (void)a;
  int p[2];
  CHECK(pipe(p) == 0);
  pthread_t t;
  pthread_create(&t, 0, writer, (void *)(long)p[1]);
  long n = 0;
  char b[5000];
  ssize_t r;
  while ((r = read(p[0], b, sizeof b)) > 0) n += r;
  CHECK(r == 0 && n == 1 << 20);
  pthread_join(t, 0);
  close(p[0]);
  int s[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
  pthread_create(&t, 0, writer, (void *)(long)s[1]);
  n = 0;
  while ((r = recv(s[0], b, sizeof b, 0)) > 0) n += r;
  CHECK(r == 0 && n == 1 << 20);
  pthread_join(t, 0);
  close(s[0]);
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
  struct pollfd f = {s[0], POLLIN, 0};
  long st = ms();
  CHECK(poll(&f, 1, 30) == 0 && ms() - st >= 29);
  fd_set fs;
  FD_ZERO(&fs);
  FD_SET(s[0], &fs);
  struct timeval tv = {0, 30000};
  st = ms();
  CHECK(select(s[0] + 1, &fs, 0, 0, &tv) == 0 && ms() - st >= 29 && !FD_ISSET(s[0], &fs));
  struct timeval to = {0, 30000};
  CHECK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &to, sizeof to) == 0);
  st = ms();
  errno = 0;
  CHECK(recv(s[0], b, 1, 0) == -1 && errno == EAGAIN && ms() - st >= 29);
  st = ms();
  errno = 0;
  CHECK(read(s[0], b, 1) == -1 && errno == EAGAIN && ms() - st >= 29);
  CHECK(send(s[1], "ab", 2, 0) == 2);
  CHECK(poll(&f, 1, -1) == 1 && f.revents == POLLIN);
  CHECK(recv(s[0], b, 1, MSG_PEEK) == 1 && b[0] == 'a');
  CHECK(recv(s[0], b, 9, 0) == 2);
  fcntl(s[0], F_SETFL, O_NONBLOCK);
  errno = 0;
  CHECK(recv(s[0], b, 1, 0) == -1 && errno == EAGAIN);
  errno = 0;
  CHECK(read(s[0], b, 1) == -1 && errno == EAGAIN);
  errno = 0;
  CHECK(read(s[1], (void *)1, 0) >= -1);
  close(s[0]);
  CHECK(recv(s[1], b, 1, 0) == 0);
  close(s[1]);
  errno = 0;
  CHECK(read(-1, b, 1) == -1 && errno == EBADF);
  int fd = open("/etc/passwd", O_RDONLY);
  CHECK(pread(fd, b, 10, 2) == 10 && read(fd, b, 4) == 4 && !memcmp(b, "root", 4));
  close(fd);
  return 0;
}
static void *procs(void *a) {
  (void)a;
  int st;
  pid_t c = fork();
  CHECK(c >= 0);
  if (!c) {
    pthread_t t;
    void *r;
    errno = 0;
    if (pthread_create(&t, 0, work, 0) || pthread_join(t, &r)) _exit(9);
    usleep(100);
    _exit(7);
  }
  CHECK(waitpid(c, &st, 0) == c && WIFEXITED(st) && WEXITSTATUS(st) == 7);
  c = vfork();
  if (!c) {
    execl("/bin/sh", "sh", "-c", "grep -q 'SigBlk:.0000000000000000' /proc/self/status && exit 5", (char *)0);
    _exit(99);
  }
  CHECK(waitpid(c, &st, 0) == c);
  CHECK(WEXITSTATUS(st) == 5);
  CHECK(system("exit 3") == 3 << 8);
  FILE *p = popen("echo hi; grep -q 'SigBlk:.0000000000000000' /proc/self/status || echo masked", "r");
  char b[64];
  CHECK(fgets(b, 64, p) && !strcmp(b, "hi\n"));
  CHECK(!fgets(b, 64, p));
  pclose(p);
  return 0;
}
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static long v;
static int readers;
static void *rwt(void *a) {
  for (int i = 0; i < 500; i++) {
    if (((long)a + i) % 5 == 0) {
      pthread_rwlock_wrlock(&rw);
      CHECK(__atomic_load_n(&readers, 5) == 0);
      v++;
      if (i % 50 == 0) sched_yield();
      pthread_rwlock_unlock(&rw);
    } else {
      pthread_rwlock_rdlock(&rw);
      __atomic_fetch_add(&readers, 1, 5);
      long x = v;
      if (i % 40 == 0) sched_yield();
      CHECK(v == x);
      __atomic_fetch_sub(&readers, 1, 5);
      pthread_rwlock_unlock(&rw);
    }
  }
  return 0;
}
int main(void) {
  enum { N = 10 };
  pthread_t t[N];
  for (long i = 0; i < N; i++) pthread_create(&t[i], 0, rwt, (void *)i);
  for (int i = 0; i < N; i++) pthread_join(t[i], 0);
  CHECK(v == N * 100);
  for (long i = 0; i < N; i++) CHECK(pthread_create(&t[i], 0, work, 0) == 0);
  for (int i = 0; i < N; i++) pthread_join(t[i], 0);
  for (long i = 0; i < 3; i++) CHECK(pthread_create(&t[i], 0, procs, 0) == 0);
  for (int i = 0; i < 3; i++) pthread_join(t[i], 0);
  procs(0);
  puts("done");
  return 0;
}
