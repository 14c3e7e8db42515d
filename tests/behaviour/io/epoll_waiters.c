// Several threads wait on one epoll descriptor: each event goes to one of them with EPOLLONESHOT or EPOLLET, none is
// lost, none is told twice; all of them end when the last event stays. epoll(7).
#include "io.h"

#include <stdatomic.h>
#include <sys/epoll.h>

enum { kWaiters = 8, kSockets = 20, kRounds = 30 };
static int epoll, stop[2], pairs[kSockets][2];
static uint32_t how;
static atomic_int served, busy[kSockets];

static void* waiter(void* arg) {
  for (;;) {
    struct epoll_event event;
    CHECK_EQ(epoll_wait(epoll, &event, 1, -1), 1);
    int i = event.data.fd;
    if (i == -1) return arg;
    char c;
    if (how == EPOLLONESHOT) {
      CHECK_EQ(atomic_exchange(&busy[i], 1), 0);
      CHECK_EQ(read(pairs[i][0], &c, 1), 1);
      CHECK_EQ(write(pairs[i][0], &c, 1), 1);
      atomic_store(&busy[i], 0);
      event.events = EPOLLIN | EPOLLONESHOT;
      CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_MOD, pairs[i][0], &event));
    } else {
      CHECK_EQ(recv(pairs[i][0], &c, 1, MSG_DONTWAIT), 1);  // nobody else was told
      CHECK_EQ(write(pairs[i][0], &c, 1), 1);
    }
    atomic_fetch_add(&served, 1);
  }
}

static void* client(void* arg) {
  int i = (int)(long)arg;
  for (int k = 0; k < kRounds; ++k) {
    char c = (char)k, back;
    CHECK_EQ(write(pairs[i][1], &c, 1), 1);
    CHECK_EQ(read(pairs[i][1], &back, 1), 1);
    CHECK_EQ(back, c);
  }
  return NULL;
}

int main(void) {
  for (int round = 0; round < 2; ++round) {
    how = round ? EPOLLET : EPOLLONESHOT;
    atomic_store(&served, 0);
    epoll = epoll_create1(0);
    CHECK_OK(pipe(stop));
    struct epoll_event event = {.events = EPOLLIN, .data.fd = -1};
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, stop[0], &event));
    for (int i = 0; i < kSockets; ++i) {
      CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]));
      event = (struct epoll_event){.events = EPOLLIN | how, .data.fd = i};
      CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, pairs[i][0], &event));
    }
    pthread_t waiters[kWaiters], clients[kSockets];
    for (int i = 0; i < kWaiters; ++i) waiters[i] = start_thread(waiter, NULL);
    for (long i = 0; i < kSockets; ++i) clients[i] = start_thread(client, (void*)i);
    for (int i = 0; i < kSockets; ++i) join_thread(clients[i]);
    CHECK_EQ(write(stop[1], "x", 1), 1);
    for (int i = 0; i < kWaiters; ++i) join_thread(waiters[i]);
    CHECK_EQ(served, kSockets * kRounds);
    for (int i = 0; i < kSockets; ++i) close_both(pairs[i]);
    close_both(stop);
    CHECK_OK(close(epoll));
  }
  return 0;
}
