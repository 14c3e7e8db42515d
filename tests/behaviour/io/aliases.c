// The second names that libc gives to calls that wait: the same as the first, while others go on. And closefrom, freopen and lockf64.
#include "io.h"

#include <sys/select.h>
#include <sys/wait.h>

ssize_t __read(int, void*, size_t);
ssize_t __write(int, const void*, size_t);
ssize_t __pread64(int, void*, size_t, off64_t);
ssize_t __pwrite64(int, const void*, size_t, off64_t);
ssize_t __send(int, const void*, size_t, int);
int __connect(int, const struct sockaddr*, socklen_t);
int __close(int);
int __dup2(int, int);
int __fcntl(int, int, ...);
int __poll(struct pollfd*, nfds_t, int);
int __select(int, fd_set*, fd_set*, fd_set*, struct timeval*);
int __nanosleep(const struct timespec*, struct timespec*);
pid_t __waitpid(pid_t, int*, int);
pid_t __wait(int*);

static void* answer(void* arg) {
  char c;
  int fd = *(int*)arg;
  for (int i = 0; i < 4; ++i) {
    CHECK_EQ(__read(fd, &c, 1), 1);
    if (i % 2) CHECK_EQ(__nanosleep(&(struct timespec){0, 1000000}, NULL), 0);
    CHECK_EQ(i % 2 ? __write(fd, &c, 1) : __send(fd, &c, 1, 0), 1);
  }
  return NULL;
}

static void* body(void* arg) {
  int pair[2];
  char c = 'a', two[2];
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  pthread_t thread = start_thread(answer, &pair[1]);
  struct pollfd p = {pair[0], POLLIN, 0};
  fd_set set;
  FD_ZERO(&set);
  FD_SET(pair[0], &set);
  for (int i = 0; i < 4; ++i) {
    CHECK_EQ(__write(pair[0], &c, 1), 1);
    CHECK_EQ(i < 2 ? __poll(&p, 1, -1) : __select(pair[0] + 1, &set, NULL, NULL, NULL), 1);
    CHECK_EQ(__read(pair[0], &c, 1), 1);
  }
  join_thread(thread);
  int file = unnamed_file(0);
  CHECK_EQ(__pwrite64(file, "xyz", 3, 10), 3);
  CHECK_EQ(__pread64(file, two, 2, 11), 2);
  CHECK(memcmp(two, "yz", 2) == 0);
  CHECK_EQ(__dup2(file, pair[0]), pair[0]);
  CHECK_EQ(__pread64(pair[0], two, 2, 10), 2);
  CHECK_EQ(__fcntl(file, F_GETFL) & O_ACCMODE, O_RDWR);
  CHECK_EQ(fcntl64(file, F_GETFL) & O_ACCMODE, O_RDWR);
  CHECK_OK(__fcntl(file, F_SETFD, FD_CLOEXEC));
  CHECK_EQ(lockf64(file, F_LOCK, 0), 0);
  CHECK_EQ(lockf64(file, F_ULOCK, 0), 0);
  CHECK_EQ(__close(file), 0);
  CHECK_ERR(__close(file), EBADF);
  close_both(pair);

  struct sockaddr_in address;
  int listener = tcp_listener(&address, 1), client = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_EQ(__connect(client, (struct sockaddr*)&address, sizeof address), 0);
  CHECK_OK(close(client));
  CHECK_OK(close(listener));

  for (int wide = 0; wide < 2; ++wide) {  // freopen closes what was there
    int fds[2];
    CHECK_OK(pipe(fds));
    FILE* f = fdopen(fds[1], "w");
    CHECK(f != NULL && fputs("abc", f) >= 0);
    f = wide ? freopen64("/dev/null", "w", f) : freopen("/dev/null", "w", f);
    CHECK(f != NULL);
    CHECK_EQ(read(fds[0], two, 2), 2);
    CHECK_EQ(read(fds[0], two, 2), 1);
    CHECK_EQ(read(fds[0], two, 2), 0);
    CHECK_EQ(fclose(f), 0);
    CHECK_OK(close(fds[0]));
  }
  return arg;
}

static void child(void) {
  int fds[2];
  CHECK_OK(pipe(fds));
  closefrom(3);
  CHECK_ERR(fcntl(fds[0], F_GETFD), EBADF);
  CHECK_OK(fcntl(2, F_GETFD));
  _exit(5);
}

static void* wait_for_children(void* arg) {
  int status;
  pid_t one = fork_child(child);
  CHECK_EQ(__waitpid(one, &status, 0), one);
  CHECK_EQ(WEXITSTATUS(status), 5);
  pid_t two = fork_child(child);
  CHECK_EQ(__wait(&status), two);
  CHECK_EQ(WEXITSTATUS(status), 5);
  CHECK_ERR(__wait(&status), ECHILD);
  return arg;
}

int main(void) {
  run_everywhere(4, body);
  join_thread(start_thread(wait_for_children, NULL));
  wait_for_children(NULL);
  return 0;
}
