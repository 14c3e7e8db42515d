// State Threads: `echo` (a thread per connection; prints "port N"), `pingpong` (a turn, and condition variables), `spawn` (--batch).
// The others print nanoseconds an operation.
#include <st.h>

#include "listen.h"

enum { kStack = 16384 };

static void *serve(void *arg) {
  st_netfd_t connection = arg;
  char buffer[kMessage];
  ssize_t got;
  while ((got = st_read(connection, buffer, sizeof buffer, ST_UTIME_NO_TIMEOUT)) > 0)
    if (st_write(connection, buffer, (size_t)got, ST_UTIME_NO_TIMEOUT) != got) break;
  st_netfd_close(connection);
  return NULL;
}

static void echo(void) {
  int one = 1;
  st_netfd_t listener = st_netfd_open_socket(listen_anywhere(0));
  for (;;) {
    st_netfd_t connection = st_accept(listener, NULL, NULL, ST_UTIME_NO_TIMEOUT);
    BENCH_CHECK(connection);
    BENCH_CHECK(!setsockopt(st_netfd_fileno(connection), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
    BENCH_CHECK(st_thread_create(serve, connection, 0, kStack));
  }
}

static st_cond_t turned[2];
static long rounds;
static int turn;

static void *play(void *arg) {
  int me = (int)(intptr_t)arg;
  for (long i = 0; i < rounds; ++i) {
    while (turn != me) st_cond_wait(turned[me]);
    turn = !me;
    st_cond_signal(turned[!me]);
  }
  return NULL;
}

static int64_t pingpong(long n) {
  rounds = n;
  turn = 0;
  int64_t start = bench_now_ns();
  st_thread_t a = st_thread_create(play, (void *)0, 1, kStack), b = st_thread_create(play, (void *)1, 1, kStack);
  BENCH_CHECK(a && b && !st_thread_join(a, NULL) && !st_thread_join(b, NULL));
  return bench_now_ns() - start;
}

static long batch, ran;

static void *body(void *arg) {
  ++ran;
  return arg;
}

static int64_t spawn(long n) {
  st_thread_t threads[batch];
  long batches = n / batch + 1;
  int64_t start = bench_now_ns();
  ran = 0;
  for (long i = 0; i < batches; ++i) {
    for (long j = 0; j < batch; ++j) BENCH_CHECK((threads[j] = st_thread_create(body, NULL, 1, kStack)));
    for (long j = 0; j < batch; ++j) BENCH_CHECK(!st_thread_join(threads[j], NULL));
  }
  int64_t took = bench_now_ns() - start;
  errno = 0;
  BENCH_CHECK(ran == batches * batch);
  return (int64_t)((double)took * (double)n / (double)(batches * batch));
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  batch = atol(bench_option(argc, argv, "--batch", "1"));
  permit_files();                                   // before st_init, which reads the limit
  BENCH_CHECK(!st_set_eventsys(ST_EVENTSYS_POLL));  // Debian's library has no epoll; select, its default, ends at 1,024
  BENCH_CHECK(!st_init());
  for (int i = 0; i < 2; ++i) turned[i] = st_cond_new();
  if (!strcmp(what, "echo")) echo();
  printf("ns_per_op %.1f\n", bench_calibrated(!strcmp(what, "spawn") ? spawn : pingpong, bench_seconds(argc, argv)));
  return 0;
}
