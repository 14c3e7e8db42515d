// UNIX datagrams to a receiver whose queue is full: senders, connected or not, wait, don't burn CPU, and every datagram
// arrives whole, in each sender's order; SO_SNDTIMEO and MSG_DONTWAIT hold. unix(7).
#include "io.h"

#include <sys/resource.h>

enum { kSenders = 6 };
static int each;  // more than the queue holds, all together
static struct sockaddr_un address;
static socklen_t address_size;

typedef struct {
  int sender, number;
} Datagram;

static void* sender(void* arg) {
  int me = (int)(long)arg, fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  CHECK_OK(fd);
  if (me % 2) CHECK_OK(connect(fd, (struct sockaddr*)&address, address_size));
  for (int i = 0; i < each; ++i) {
    Datagram d = {me, i};
    struct iovec v = {&d, sizeof d};
    struct msghdr message = {.msg_iov = &v, .msg_iovlen = 1};
    if (me % 2 == 0) message.msg_name = &address, message.msg_namelen = address_size;
    if (i % 3 == 0 && me % 2)
      CHECK_EQ(write(fd, &d, sizeof d), (ssize_t)sizeof d);
    else if (i % 3 == 1)
      CHECK_EQ(sendmsg(fd, &message, 0), (ssize_t)sizeof d);
    else
      CHECK_EQ(sendto(fd, &d, sizeof d, 0, message.msg_name, message.msg_namelen), (ssize_t)sizeof d);
  }
  CHECK_OK(close(fd));
  return NULL;
}

static long long cpu_ms(void) {
  struct rusage u;
  CHECK_OK(getrusage(RUSAGE_SELF, &u));
  return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000ll + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

static void* timed_sender(void* arg) {
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  CHECK_OK(fd);
  CHECK_ERR(sendto(fd, "x", 1, MSG_DONTWAIT, (struct sockaddr*)&address, address_size), EAGAIN);
  set_timeout(fd, SO_SNDTIMEO, 20);
  long long start = now_ms();
  CHECK_ERR(sendto(fd, "x", 1, 0, (struct sockaddr*)&address, address_size), EAGAIN);
  CHECK(now_ms() - start >= 20);
  CHECK_OK(connect(fd, (struct sockaddr*)&address, address_size));
  start = now_ms();
  CHECK_ERR(send(fd, "x", 1, 0), EAGAIN);
  CHECK(now_ms() - start >= 20);
  CHECK_OK(close(fd));
  return arg;
}

int main(void) {
  FILE* limit = fopen("/proc/sys/net/unix/max_dgram_qlen", "r");
  CHECK(limit && fscanf(limit, "%d", &each) == 1);
  CHECK_EQ(fclose(limit), 0);
  each = 40 + 2 * each / kSenders;
  int in = socket(AF_UNIX, SOCK_DGRAM, 0), next[kSenders] = {0};
  address_size = unix_address(&address);
  CHECK_OK(bind(in, (struct sockaddr*)&address, address_size));
  pthread_t threads[kSenders];
  for (long i = 0; i < kSenders; ++i) threads[i] = start_thread(sender, (void*)i);
  sleep_ms(50);
  long long before = cpu_ms();
  sleep_ms(200);
  CHECK(cpu_ms() - before < 100);  // all of them only wait
  join_thread(start_thread(timed_sender, NULL));
  timed_sender(NULL);
  for (int i = 0; i < kSenders * each; ++i) {
    Datagram d;
    CHECK_EQ(recv(in, &d, sizeof d, 0), (ssize_t)sizeof d);
    CHECK_EQ(d.number, next[d.sender]);
    ++next[d.sender];
    if (i % 40 == 0) sleep_ms(1);
  }
  for (int i = 0; i < kSenders; ++i) join_thread(threads[i]);
  CHECK_ERR(recv(in, next, 1, MSG_DONTWAIT), EAGAIN);
  CHECK_OK(close(in));
  return 0;
}
