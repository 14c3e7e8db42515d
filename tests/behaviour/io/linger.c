// close of a socket with SO_LINGER waits until the peer has taken what was sent, or for the time that was set, while others go on; with
// zero it resets the connection. socket(7).
#include "io.h"

#include <stdatomic.h>

static atomic_long turns;
static atomic_int over;
static void* go_on(void* arg) {
  for (; !atomic_load(&over); atomic_fetch_add(&turns, 1)) sleep_ms(1);
  return arg;
}

static void fill(int fd, int seconds) {
  static char bytes[1 << 16];
  struct linger l = {1, seconds};
  CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l));
  while (send(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
  }
  CHECK_EQ(errno, EAGAIN);
}

static void* drain(void* arg) {
  static _Thread_local char part[1 << 16];
  sleep_ms(30);
  while (recv(*(int*)arg, part, sizeof part, 0) > 0) {
  }
  return NULL;
}

static void* body(void* arg) {
  int pair[2];
  char c;
  tcp_pair(pair);
  fill(pair[0], 30);
  pthread_t reader = start_thread(drain, &pair[1]);
  long long t = now_ms();
  CHECK_OK(close(pair[0]));
  t = now_ms() - t;
  CHECK(t >= 5 && t < 25000);
  join_thread(reader);
  CHECK_OK(close(pair[1]));

  tcp_pair(pair);
  fill(pair[0], 1);
  long before = atomic_load(&turns);
  t = now_ms();
  CHECK_OK(close(pair[0]));
  CHECK(now_ms() - t >= 900);  // nobody reads
  CHECK(atomic_load(&turns) > before);
  CHECK_OK(close(pair[1]));

  tcp_pair(pair);
  struct linger l = {1, 0};
  CHECK_OK(setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &l, sizeof l));
  CHECK_OK(close(pair[0]));
  CHECK_ERR(recv(pair[1], &c, 1, 0), ECONNRESET);
  CHECK_OK(close(pair[1]));
  return arg;
}

int main(void) {
  pthread_t other = start_thread(go_on, NULL);
  run_everywhere(3, body);
  atomic_store(&over, 1);
  join_thread(other);
  return 0;
}
