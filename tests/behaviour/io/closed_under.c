// Who waits on a descriptor waits for what was behind it when the call began: close, dup2, dup3, close_range and a new file under the same
// number change nothing for him, nor does O_NONBLOCK set meanwhile, which holds for the next call. (poll and select look the numbers
// up again at each wake-up.) close(2), "multithreaded processes".
#include "io.h"

#include <linux/close_range.h>
#include <stdatomic.h>
#include <sys/epoll.h>

enum { kWays = 5, kCalls = 6, kRounds = 3 };

static int how_to_wait, fd, peer;
static atomic_int begun;

// One byte, by a call that waits; -1 with EBADF if the descriptor was gone before the call began.
static int wait_for_byte(void) {
  char c;
  struct iovec one = {&c, 1};
  struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1};
  struct mmsghdr messages = {.msg_hdr = message};
  atomic_store(&begun, 1);
  switch (how_to_wait) {
    case 0: return read(fd, &c, 1) == 1 ? c : -1;
    case 1: return recv(fd, &c, 1, 0) == 1 ? c : -1;
    case 2: return recvmsg(fd, &message, 0) == 1 ? c : -1;
    case 3: return readv(fd, &one, 1) == 1 ? c : -1;
    case 4: return recvmmsg(fd, &messages, 1, 0, NULL) == 1 ? c : -1;
    default: return recvfrom(fd, &c, 1, 0, NULL, NULL) == 1 ? c : -1;
  }
}

static void* waiter(void* arg) {
  int c = wait_for_byte();
  CHECK(c == 'x' || (c == -1 && (errno == EBADF || errno == EAGAIN)));
  atomic_store((atomic_int*)arg, c);
  return NULL;
}

static void take_away(int way) {
  int other;
  switch (way) {
    case 0:
      CHECK_OK(close(fd));
      break;
    case 1:  // and a new file under its number
      CHECK_OK(close(fd));
      CHECK_EQ(other = socket(AF_UNIX, SOCK_DGRAM, 0), fd);
      break;
    case 2:
      CHECK_OK(other = socket(AF_UNIX, SOCK_DGRAM, 0));
      CHECK_EQ(dup2(other, fd), fd);
      CHECK_OK(close(other));
      break;
    case 3:
      CHECK_OK(other = socket(AF_UNIX, SOCK_DGRAM, 0));
      CHECK_EQ(dup3(other, fd, O_CLOEXEC), fd);
      CHECK_OK(close(other));
      break;
    default:
      CHECK_OK(close_range((unsigned)fd, (unsigned)fd, 0));
      break;
  }
}

static void* nothing(void* arg) { return arg; }

// The waiter may come too late, to a descriptor that is gone; of some rounds one at least has him waiting.
static void closing(int way) {
  int waited = 0;
  for (int round = 0; round < 20 && waited < kRounds; ++round) {
    int pair[2];
    atomic_int got = 0;
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    fd = pair[0], peer = pair[1];
    atomic_store(&begun, 0);
    pthread_t thread = start_thread(waiter, &got);
    while (!atomic_load(&begun)) sched_yield();
    sleep_ms(3);
    take_away(way);
    if (write(peer, "x", 1) != 1) CHECK(errno == EPIPE);  // nobody holds the other end any more: he came too late
    if (way == 1 || way == 2 || way == 3) {
      struct sockaddr_un address;  // gives one who came too late to the new socket what he waits for
      socklen_t size = unix_address(&address);
      CHECK_OK(bind(fd, (struct sockaddr*)&address, size));
      int sender = socket(AF_UNIX, SOCK_DGRAM, 0);
      for (int i = 0; i < 200 && !atomic_load(&got); ++i) sleep_ms(1);
      if (!atomic_load(&got)) CHECK_EQ(sendto(sender, "x", 1, 0, (struct sockaddr*)&address, size), 1);
      join_thread(thread);
      CHECK_OK(close(sender));
      CHECK_OK(close(fd));
    } else {
      join_thread(thread);
    }
    waited += atomic_load(&got) == 'x';
    CHECK_OK(close(peer));
  }
  CHECK(waited > 0);
}

// What is waited for with poll, select and epoll_wait through a second descriptor of the same file goes on as well.
static void* poller(void* arg) {
  struct epoll_event event;
  CHECK_EQ(epoll_wait(*(int*)arg, &event, 1, -1), 1);
  CHECK_EQ(event.data.u32, 7);
  return NULL;
}
static void epolls(void) {
  int pair[2], set = epoll_create1(0), other;
  CHECK_OK(set);
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  CHECK_OK(other = dup(pair[0]));
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = 7};
  CHECK_OK(epoll_ctl(set, EPOLL_CTL_ADD, pair[0], &event));
  pthread_t thread = start_thread(poller, &set);
  sleep_ms(2);
  CHECK_OK(close(pair[0]));  // the file lives on in `other`, and in the set
  CHECK_EQ(write(pair[1], "x", 1), 1);
  join_thread(thread);
  CHECK_OK(close(other));
  CHECK_EQ(epoll_wait(set, &event, 1, 0), 0);
  CHECK_OK(close(set));
  CHECK_OK(close(pair[1]));
}

static void* take_nonblocking(void* arg) {
  char c;
  int r = (int)read(*(int*)arg, &c, 1);
  CHECK(r == 1 || (r == -1 && errno == EAGAIN));
  if (r == 1) CHECK_ERR(read(*(int*)arg, &c, 1), EAGAIN);
  return NULL;
}
static void nonblocking(void) {
  int fds[2];
  CHECK_OK(pipe(fds));
  pthread_t thread = start_thread(take_nonblocking, &fds[0]);
  sleep_ms(3);
  CHECK_OK(fcntl(fds[0], F_SETFL, O_NONBLOCK));
  sleep_ms(3);
  CHECK_EQ(write(fds[1], "x", 1), 1);
  join_thread(thread);
  close_both(fds);
}

static void* accepter(void* arg) {
  int got = accept(*(int*)arg, NULL, NULL);
  CHECK(got >= 0 || errno == EBADF);
  if (got >= 0) CHECK_OK(close(got));
  return NULL;
}
static void listener(void) {
  struct sockaddr_in address;
  int listening = tcp_listener(&address, 1), client = socket(AF_INET, SOCK_STREAM, 0);
  pthread_t thread = start_thread(accepter, &listening);
  sleep_ms(3);
  CHECK_OK(close(listening));
  // Who waits in accept still gets the connection; if nobody does, there is no listener any more.
  CHECK(connect(client, (struct sockaddr*)&address, sizeof address) == 0 || errno == ECONNREFUSED);
  join_thread(thread);
  CHECK_OK(close(client));
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  join_thread(start_thread(nothing, NULL));
  for (how_to_wait = 0; how_to_wait < kCalls; ++how_to_wait)
    for (int way = 0; way < kWays; ++way) closing(way);
  epolls();
  nonblocking();
  listener();
  return 0;
}
