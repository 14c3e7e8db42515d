// A pointer that leads nowhere, or to memory that can't be written: EFAULT, also where the call had to wait first, and nothing is lost of what a
// pipe or stream holds. read(2), write(2), recv(2), sendmsg(2), accept(2), poll(2), select(2), epoll_wait(2).
#include "io.h"

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>

static char* nowhere;   // no access
static char* constant;  // can be read

static void* feed(void* arg) {
  sleep_ms(1);
  CHECK_EQ(write(*(int*)arg, "abcd", 4), 4);
  return NULL;
}

enum { kReads = 8 };
static long read_into(int way, int fd, char* bad) {
  struct iovec one = {bad, 4}, *vector = (struct iovec*)nowhere;
  struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1}, wrong = {.msg_iov = vector, .msg_iovlen = 1};
  struct mmsghdr messages = {.msg_hdr = message};
  switch (way) {
    case 0: return read(fd, bad, 4);
    case 1: return recv(fd, bad, 4, 0);
    case 2: return readv(fd, &one, 1);
    case 3: return recvfrom(fd, bad, 4, 0, NULL, NULL);
    case 4: return recvmsg(fd, &message, 0);
    case 5: return recvmsg(fd, &wrong, 0);
    case 6: return readv(fd, vector, 1);
    default: return recvmmsg(fd, &messages, 1, 0, NULL);
  }
}

static void* body(void* arg) {
  int pair[2], fds[2];
  char room[8];
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  for (int way = 0; way < kReads; ++way)
    for (int late = 0; late < 2; ++late) {
      pthread_t feeder;
      if (late) feeder = start_thread(feed, &pair[1]);
      else feed(&pair[1]);
      CHECK_ERR(read_into(way, pair[0], late ? nowhere : constant), EFAULT);
      if (late) join_thread(feeder);
      CHECK_EQ(recv(pair[0], room, 4, MSG_WAITALL), 4);
      CHECK(memcmp(room, "abcd", 4) == 0);
    }
  struct iovec one = {nowhere, 4}, two[] = {{(char*)"ab", 2}, {nowhere, 2}};
  struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1};
  CHECK_ERR(send(pair[0], nowhere, 4, 0), EFAULT);
  CHECK_ERR(write(pair[0], nowhere, 4), EFAULT);
  CHECK_ERR(writev(pair[0], &one, 1), EFAULT);
  CHECK_ERR(writev(pair[0], (struct iovec*)nowhere, 1), EFAULT);
  CHECK_ERR(sendmsg(pair[0], &message, 0), EFAULT);
  CHECK_ERR(sendmsg(pair[0], (struct msghdr*)nowhere, 0), EFAULT);
  CHECK_ERR(recvmsg(pair[0], (struct msghdr*)nowhere, 0), EFAULT);
  CHECK_ERR(connect(pair[0], (struct sockaddr*)nowhere, 16), EFAULT);
  CHECK_ERR(sendto(pair[0], "x", 1, 0, (struct sockaddr*)nowhere, 16), EFAULT);
  CHECK_OK(pipe(fds));
  CHECK_ERR(write(fds[1], nowhere, 4), EFAULT);
  ssize_t n = writev(fds[1], two, 2);
  CHECK(n == 2 || (n == -1 && errno == EFAULT));
  pthread_t feeder = start_thread(feed, &fds[1]);
  CHECK_ERR(read(fds[0], nowhere, 4), EFAULT);
  join_thread(feeder);
  CHECK_ERR(poll((struct pollfd*)nowhere, 1, -1), EFAULT);
  CHECK_ERR(select(8, (fd_set*)nowhere, NULL, NULL, NULL), EFAULT);
  int set = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLOUT};
  CHECK_OK(epoll_ctl(set, EPOLL_CTL_ADD, pair[0], &event));
  CHECK_ERR(epoll_wait(set, (struct epoll_event*)nowhere, 1, -1), EFAULT);
  CHECK_OK(close(set));
  int file = unnamed_file(0);
  CHECK_ERR(pwrite(file, nowhere, 4, 0), EFAULT);
  CHECK_EQ(pwrite(file, "abcd", 4, 0), 4);
  CHECK_ERR(pread(file, nowhere, 4, 0), EFAULT);
  CHECK_ERR(sendfile(pair[0], file, (off_t*)nowhere, 4), EFAULT);
  CHECK_OK(close(file));
  CHECK_ERR(open(nowhere, O_RDONLY), EFAULT);

  struct sockaddr_in address;
  int listener = tcp_listener(&address, 2), client = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_OK(connect(client, (struct sockaddr*)&address, sizeof address));
  CHECK_ERR(accept(listener, (struct sockaddr*)constant, (socklen_t*)nowhere), EFAULT);
  CHECK_OK(close(listener));
  CHECK_OK(close(client));
  close_both(pair);
  close_both(fds);
  return arg;
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  constant = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(nowhere != MAP_FAILED && constant != MAP_FAILED);
  run_everywhere(4, body);
  return 0;
}
