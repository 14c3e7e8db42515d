// Many threads send at the same time, each to a peer that answers: whatever a send meets - room, none, a reader that has gone, bad
// arguments - it answers as one that stands alone. send(2).
#include "io.h"

enum { kTalkers = 24, kOthers = 4, kRounds = 60, kMessage = 64, kLarge = 3 << 20 };
static int pipes;
static void on_pipe(int number) { __atomic_fetch_add(&pipes, number == SIGPIPE, __ATOMIC_RELAXED); }

static void* answer(void* arg) {
  int fd = (int)(intptr_t)arg;
  char text[kMessage];
  for (ssize_t n; (n = recv(fd, text, sizeof text, 0)) > 0;) CHECK_EQ(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
  return NULL;
}

static void* talk(void* arg) {
  int pair[2];
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  pthread_t peer = start_thread(answer, (void*)(intptr_t)pair[1]);
  for (size_t i = 0; i < kRounds; ++i) {
    char text[kMessage];
    fill_bytes(text, sizeof text, (size_t)arg + i);
    CHECK_EQ(send(pair[0], text, sizeof text, i % 2 ? MSG_NOSIGNAL : 0), kMessage);
    CHECK_EQ(recv(pair[0], text, sizeof text, MSG_WAITALL), kMessage);
    check_bytes(text, sizeof text, (size_t)arg + i);
    CHECK_ERR(send(-1, text, 1, 0), EBADF);
    CHECK_ERR(send(pair[0], (char*)8, 16, 0), EFAULT);
  }
  CHECK_OK(shutdown(pair[0], SHUT_WR));
  join_thread(peer);
  CHECK_ERR(send(pair[0], "x", 1, MSG_NOSIGNAL), EPIPE);
  CHECK_ERR(send(pair[0], "x", 1, 0), EPIPE);  // and a signal
  close_both(pair);
  return NULL;
}

static void* swallow(void* arg) {
  char text[4096];
  size_t sum = 0;
  for (ssize_t n; (n = recv((int)(intptr_t)arg, text, sizeof text, 0)) > 0; sum += (size_t)n) check_bytes(text, (size_t)n, sum);
  return (void*)sum;
}

// More than there is room for: a blocking send has all of it taken, one with a limit a part, one that may not block what fits.
static void* pour(void* arg) {
  int pair[2];
  char* large = (char*)malloc(kLarge);
  CHECK(large);
  fill_bytes(large, kLarge, 0);
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  pthread_t peer = start_thread(swallow, (void*)(intptr_t)pair[1]);
  CHECK_EQ(send(pair[0], large, kLarge, 0), kLarge);
  CHECK_OK(shutdown(pair[0], SHUT_WR));
  CHECK_EQ((size_t)join_thread(peer), kLarge);
  close_both(pair);

  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  set_timeout(pair[0], SO_SNDTIMEO, 20);
  ssize_t part = send(pair[0], large, kLarge, 0);
  CHECK(part > 0 && part < kLarge);
  CHECK_ERR(send(pair[0], large, kLarge, 0), EAGAIN);
  CHECK_OK(fcntl(pair[0], F_SETFL, O_NONBLOCK));
  CHECK_ERR(send(pair[0], large, kLarge, 0), EAGAIN);
  close_both(pair);
  free(large);
  return arg;
}

static void* reset(void* arg) {
  int pair[2];
  tcp_pair(pair);
  struct linger at_once = {1, 0};
  CHECK_OK(setsockopt(pair[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
  CHECK_OK(close(pair[1]));
  struct pollfd gone = {pair[0], POLLIN, 0};
  CHECK_EQ(poll(&gone, 1, -1), 1);
  CHECK_ERR(send(pair[0], "x", 1, 0), ECONNRESET);  // once, and no signal
  CHECK_ERR(send(pair[0], "x", 1, MSG_NOSIGNAL), EPIPE);
  CHECK_OK(close(pair[0]));
  return arg;
}

int main(void) {
  signal(SIGPIPE, on_pipe);
  pthread_t threads[kTalkers + 2 * kOthers];
  int n = 0;
  for (int i = 0; i < kTalkers; ++i) threads[n++] = start_thread(talk, (void*)(intptr_t)i);
  for (int i = 0; i < kOthers; ++i) threads[n++] = start_thread(pour, NULL);
  for (int i = 0; i < kOthers; ++i) threads[n++] = start_thread(reset, NULL);
  while (n) join_thread(threads[--n]);
  CHECK_EQ(pipes, kTalkers);
  return 0;
}
