// The operations whose instructions are counted (count_steps, instructions.py): a warm-up, then kWindows times `int3`, --count operations,
// `int3`. Only a tracer makes sense of the breakpoints.
//   mutex  lock and unlock of a mutex that nobody else wants
//   park   a turn through two semaphores to another thread and back: two parks, two unparks
//   cond   the same through a mutex and condition variables
//   read   one byte that is there is read from a pipe
//   recv   one byte that is there is received from a socket
//   write  one byte to a pipe with room
//   echo   a byte through a socket pair to another thread and back
//   spawn  create and join a thread
#include <semaphore.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

enum { kWarmUp = 300, kWindows = 3 };

static sem_t ping, pong;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned[2] = {PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER};
static int turn, ends[2], done;
static char bytes[65536];

static void *answer_sem(void *unused) {
  for (;;) {
    while (sem_wait(&ping)) {}
    if (done) return unused;
    sem_post(&pong);
  }
}

static void turn_to(int me) {
  turn = !me;
  pthread_cond_signal(&turned[!me]);
  while (turn != me) pthread_cond_wait(&turned[me], &mutex);
}

static void *answer_cond(void *unused) {
  pthread_mutex_lock(&mutex);
  while (turn != 1) pthread_cond_wait(&turned[1], &mutex);
  while (!done) turn_to(1);
  pthread_mutex_unlock(&mutex);
  return unused;
}

static void *answer_echo(void *unused) {
  char c;
  while (recv(ends[1], &c, 1, 0) == 1) BENCH_CHECK(send(ends[1], &c, 1, 0) == 1);
  return unused;
}

static void *nothing(void *arg) { return arg; }

static void do_mutex(void) {
  pthread_mutex_lock(&mutex);
  pthread_mutex_unlock(&mutex);
}
static void do_park(void) {
  sem_post(&ping);
  while (sem_wait(&pong)) {}
}
static void do_cond(void) { turn_to(0); }
static void do_read(void) { BENCH_CHECK(read(ends[0], bytes, 1) == 1); }
static void do_recv(void) { BENCH_CHECK(recv(ends[0], bytes, 1, 0) == 1); }
static void do_write(void) { BENCH_CHECK(write(ends[1], bytes, 1) == 1); }
static void do_echo(void) {
  BENCH_CHECK(send(ends[0], bytes, 1, 0) == 1);
  BENCH_CHECK(recv(ends[0], bytes, 1, 0) == 1);
}
static void do_spawn(void) {
  pthread_t t;
  BENCH_OK(pthread_create(&t, NULL, nothing, NULL));
  BENCH_OK(pthread_join(t, NULL));
}

static const char *what;
static long count;

// In a thread of its own, as a server's would: main is bound to its OS thread.
static void *measure(void *unused) {
  void (*operation)(void) = !strcmp(what, "mutex") ? do_mutex : !strcmp(what, "park") ? do_park : !strcmp(what, "cond") ? do_cond
                            : !strcmp(what, "read") ? do_read : !strcmp(what, "recv") ? do_recv : !strcmp(what, "write") ? do_write
                            : !strcmp(what, "echo") ? do_echo : !strcmp(what, "spawn") ? do_spawn : NULL;
  pthread_t other = 0;
  errno = 0;
  BENCH_CHECK(operation && "mutex, park, cond, read, recv, write, echo or spawn");
  if (operation == do_recv || operation == do_echo) BENCH_CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  else BENCH_CHECK(!pipe(ends));
  if (operation == do_read || operation == do_recv)
    BENCH_CHECK(write(ends[1], bytes, 4096) == 4096 && (size_t)(kWarmUp + kWindows * count) <= 4096);
  if (operation == do_park) BENCH_OK(pthread_create(&other, NULL, answer_sem, NULL));
  if (operation == do_echo) BENCH_OK(pthread_create(&other, NULL, answer_echo, NULL));
  if (operation == do_cond) {
    BENCH_OK(pthread_create(&other, NULL, answer_cond, NULL));
    pthread_mutex_lock(&mutex);
  }
  for (int i = 0; i < kWarmUp; ++i) operation();
  for (int i = 0; i < kWindows; ++i) {
    __asm__ volatile("int3" ::: "memory");
    for (long j = 0; j < count; ++j) operation();
    __asm__ volatile("int3" ::: "memory");
  }
  done = 1;
  sem_post(&ping);
  turn = 1;
  pthread_cond_signal(&turned[1]);
  if (operation == do_cond) pthread_mutex_unlock(&mutex);
  if (operation == do_echo) shutdown(ends[0], SHUT_WR);
  if (other) BENCH_OK(pthread_join(other, NULL));
  return unused;
}

int main(int argc, char **argv) {
  pthread_t worker;
  what = argc > 1 ? argv[1] : "";
  count = atol(bench_option(argc, argv, "--count", "10"));
  sem_init(&ping, 0, 0);
  sem_init(&pong, 0, 0);
  BENCH_OK(pthread_create(&worker, NULL, measure, NULL));
  BENCH_OK(pthread_join(worker, NULL));
  return 0;
}
