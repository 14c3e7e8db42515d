// Threads wait on everything there is, then are let go. Where vtshim_dump is there, its lines must say of each what it waits for: the
// descriptors, the lock's address, who holds it, how long there is till the deadline.
#include "../check.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum { kTimeoutS = 3600, kText = 1 << 16 };

static pthread_mutex_t g_held = PTHREAD_MUTEX_INITIALIZER, g_around = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t g_written = PTHREAD_RWLOCK_INITIALIZER, g_read = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t g_barrier;
static sem_t g_sem, g_timed, g_stop, g_up;
static int g_signalled, g_word;
static int g_pipe[2], g_full[2], g_pair[2], g_polled[2][2], g_listener;
static pid_t g_holder_id, g_dumper_id;
static pthread_t g_holder;
static int (*g_dump)(int);
static char g_text[kText];

static void name_me(const char* name) { CHECK_RC(pthread_setname_np(pthread_self(), name), 0); }

static void* holder(void* arg) {
  name_me("holder");
  g_holder_id = gettid();
  CHECK_RC(pthread_mutex_lock(&g_held), 0);
  CHECK_RC(pthread_rwlock_wrlock(&g_written), 0);
  CHECK_RC(pthread_rwlock_rdlock(&g_read), 0);
  CHECK_OK(sem_post(&g_up));
  CHECK_OK(sem_wait(&g_stop));
  CHECK_RC(pthread_rwlock_unlock(&g_read), 0);
  CHECK_RC(pthread_rwlock_unlock(&g_written), 0);
  CHECK_RC(pthread_mutex_unlock(&g_held), 0);
  return arg;
}

static void* on_mutex(void* arg) {
  name_me("on-mutex");
  CHECK_RC(pthread_mutex_lock(&g_held), 0);
  CHECK_RC(pthread_mutex_unlock(&g_held), 0);
  return arg;
}
static void* on_cond(void* arg) {
  name_me(arg ? "on-cond-2" : "on-cond-1");
  CHECK_RC(pthread_mutex_lock(&g_around), 0);
  CHECK_OK(sem_post(&g_up));
  while (!g_signalled) CHECK_RC(pthread_cond_wait(&g_cond, &g_around), 0);
  CHECK_RC(pthread_mutex_unlock(&g_around), 0);
  return arg;
}
static void* on_sem(void* arg) {
  name_me("on-sem");
  CHECK_OK(sem_wait(&g_sem));
  return arg;
}
static void* on_timed(void* arg) {
  name_me("on-timed");
  struct timespec deadline = deadline_after_ms(CLOCK_REALTIME, kTimeoutS * 1000ll);
  CHECK_OK(sem_timedwait(&g_timed, &deadline));
  return arg;
}
static void* on_written(void* arg) {
  name_me("on-written");
  CHECK_RC(pthread_rwlock_rdlock(&g_written), 0);
  CHECK_RC(pthread_rwlock_unlock(&g_written), 0);
  return arg;
}
static void* on_read(void* arg) {
  name_me("on-read");
  CHECK_RC(pthread_rwlock_wrlock(&g_read), 0);
  CHECK_RC(pthread_rwlock_unlock(&g_read), 0);
  return arg;
}
static void* on_barrier(void* arg) {
  name_me("on-barrier");
  int r = pthread_barrier_wait(&g_barrier);
  CHECK(r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD);
  return arg;
}
static void* on_join(void* arg) {
  name_me("on-join");
  join_thread(g_holder);
  return arg;
}
static void* on_futex(void* arg) {
  name_me("on-futex");
  while (!__atomic_load_n(&g_word, __ATOMIC_SEQ_CST)) syscall(SYS_futex, &g_word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
  return arg;
}
static void* on_sleep(void* arg) {
  name_me("on-sleep");
  sleep(kTimeoutS);
  check_fail(__FILE__, __LINE__, 0, "an hour has passed");
  return arg;
}
static void* on_pipe(void* arg) {
  name_me("on-pipe");
  char byte;
  CHECK_EQ(read(g_pipe[0], &byte, 1), 1);
  return arg;
}
static void* on_full(void* arg) {
  name_me("on-full");
  CHECK_EQ(write(g_full[1], "x", 1), 1);
  return arg;
}
static void* on_recv(void* arg) {
  name_me("on-recv");
  char byte;
  CHECK_EQ(recv(g_pair[0], &byte, 1, 0), 1);
  return arg;
}
static void* on_accept(void* arg) {
  name_me("on-accept");
  int fd = accept(g_listener, NULL, NULL);
  CHECK_OK(fd);
  close(fd);
  return arg;
}
static void* on_poll(void* arg) {
  name_me("on-poll");
  struct pollfd fds[2] = {{g_polled[0][0], POLLIN, 0}, {g_polled[1][0], POLLIN, 0}};
  CHECK_EQ(poll(fds, 2, kTimeoutS * 1000), 1);
  return arg;
}

static void read_dump(void) {
  int fd = memfd_create("dump", MFD_CLOEXEC);
  CHECK_OK(fd);
  CHECK_EQ(g_dump(fd), 0);
  ssize_t n = pread(fd, g_text, kText - 1, 0);
  CHECK(n > 0);
  g_text[n] = 0;
  close(fd);
}

// The line that has `mark`, or "".
static const char* line_of(const char* mark) {
  static char line[512];
  line[0] = 0;
  char* at = strstr(g_text, mark);
  if (!at) return line;
  char* start = at;
  while (start > g_text && start[-1] != '\n') --start;
  size_t n = strcspn(start, "\n");
  CHECK(n < sizeof line);
  memcpy(line, start, n);
  line[n] = 0;
  return line;
}

// Dumps until the line of the thread that is called `name` has `part`: it was on its way there.
__attribute__((format(printf, 2, 3))) static void expect(const char* name, const char* format, ...) {
  char part[256], mark[64];
  va_list args;
  va_start(args, format);
  vsnprintf(part, sizeof part, format, args);
  va_end(args);
  snprintf(mark, sizeof mark, " \"%s\": ", name);
  for (long long end = now_ms() + 10000; now_ms() < end; usleep(2000)) {
    read_dump();
    if (strstr(line_of(mark), part)) return;
  }
  check_fail(__FILE__, __LINE__, 0, "no \"%s\" in \"%s\" of\n%.700s", part, line_of(mark), g_text);
}

static void expect_left(const char* name) {
  char mark[64];
  snprintf(mark, sizeof mark, " \"%s\": ", name);
  const char* line = line_of(mark);
  const char* left = strstr(line, " s left");
  if (!left) check_fail(__FILE__, __LINE__, 0, "no deadline in \"%s\"", line);
  while (left > line && left[-1] != ' ') --left;
  double s = atof(left);
  CHECK(s > kTimeoutS - 120 && s <= kTimeoutS);
}

static void check_lines(void) {
  expect("holder", "waiting for sem %p;", (void*)&g_stop);
  expect("on-mutex", "waiting for mutex %p, held by %d \"holder\";", (void*)&g_held, g_holder_id);
  expect("on-cond-1", "waiting for cond %p with mutex %p;", (void*)&g_cond, (void*)&g_around);
  expect("on-cond-2", "waiting for cond %p with mutex %p;", (void*)&g_cond, (void*)&g_around);
  expect("on-sem", "waiting for sem %p;", (void*)&g_sem);
  expect("on-timed", "waiting for sem %p, ", (void*)&g_timed);
  expect_left("on-timed");
  expect("on-written", "waiting for rwlock %p, written by %d \"holder\";", (void*)&g_written, g_holder_id);
  expect("on-read", "waiting for rwlock %p, held by 1 reader;", (void*)&g_read);
  expect("on-barrier", "waiting for barrier %p;", (void*)&g_barrier);
  expect("on-join", "waiting for join of %d \"holder\";", g_holder_id);
  expect("on-futex", "waiting for futex %p;", (void*)&g_word);
  expect("on-sleep", "waiting for sleep, ");
  expect_left("on-sleep");
  expect("on-pipe", "waiting for read fd %d;", g_pipe[0]);
  expect("on-full", "waiting for write fd %d;", g_full[1]);
  expect("on-recv", "waiting for recv fd %d;", g_pair[0]);
  expect("on-accept", "waiting for accept fd %d;", g_listener);
  expect("on-poll", "waiting for poll fd %d, %d, ", g_polled[0][0], g_polled[1][0]);
  expect_left("on-poll");

  char part[128];
  snprintf(part, sizeof part, "waiting for join of %d \"dumper\";", g_dumper_id);
  const char* line = line_of(" (main): ");
  if (!strstr(line, part)) check_fail(__FILE__, __LINE__, 0, "no \"%s\" in \"%s\"", part, line);
  snprintf(part, sizeof part, "thread %d \"dumper\": running;", g_dumper_id);
  CHECK(strstr(g_text, part) != NULL);
  snprintf(part, sizeof part, "runs %d \"dumper\"", g_dumper_id);
  CHECK(strstr(line_of("carrier "), "pid ") == NULL);
  CHECK(strstr(g_text, part) != NULL);
  int pid, threads, running, runnable, waiting, blocking, ended, carriers;
  CHECK_EQ(sscanf(g_text, "vtshim: pid %d: %d virtual threads: %d running, %d runnable, %d waiting, %d blocking, %d ended; %d carriers", &pid, &threads,
                  &running, &runnable, &waiting, &blocking, &ended, &carriers), 8);
  CHECK_EQ(pid, getpid());
  CHECK_EQ(threads, 19);
  CHECK_EQ(running, 1);
  CHECK_EQ(waiting, 18);
  CHECK(carriers >= 1);

  // Of two that a broadcast wakes with the mutex held, one comes for the mutex and the other is moved to its queue.
  CHECK_RC(pthread_mutex_lock(&g_around), 0);
  g_signalled = 1;
  CHECK_RC(pthread_cond_broadcast(&g_cond), 0);
  char a[128], b[160];
  snprintf(a, sizeof a, "waiting for mutex %p, held by %d \"dumper\";", (void*)&g_around, g_dumper_id);
  snprintf(b, sizeof b, "waiting for cond %p, signalled, now for mutex %p, held by %d \"dumper\";", (void*)&g_cond, (void*)&g_around, g_dumper_id);
  long long end = now_ms() + 10000;
  for (;; usleep(2000)) {
    read_dump();
    if (strstr(g_text, a) && strstr(g_text, b)) break;
    if (now_ms() > end) check_fail(__FILE__, __LINE__, 0, "no \"%s\" and \"%s\" in \"%s\" and so on", a, b, line_of(" \"on-cond-1\": "));
  }
  CHECK_RC(pthread_mutex_unlock(&g_around), 0);
}

static void* dumper(void* arg) {
  name_me("dumper");
  g_dumper_id = gettid();
  CHECK_OK(sem_wait(&g_up));  // the holder, and both on the condition
  CHECK_OK(sem_wait(&g_up));
  CHECK_OK(sem_wait(&g_up));
  if (g_dump) check_lines();
  else sleep_ms(20);
  return arg;
}

int main(void) {
  *(void**)&g_dump = dlsym(RTLD_DEFAULT, "vtshim_dump");
  CHECK_OK(sem_init(&g_sem, 0, 0));
  CHECK_OK(sem_init(&g_timed, 0, 0));
  CHECK_OK(sem_init(&g_stop, 0, 0));
  CHECK_OK(sem_init(&g_up, 0, 0));
  CHECK_RC(pthread_barrier_init(&g_barrier, NULL, 2), 0);
  CHECK_OK(pipe(g_pipe));
  CHECK_OK(pipe(g_full));
  CHECK_OK(pipe(g_polled[0]));
  CHECK_OK(pipe(g_polled[1]));
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, g_pair));
  int capacity = fcntl(g_full[1], F_GETPIPE_SZ);
  char* filling = calloc(1, (size_t)capacity);
  CHECK_EQ(write(g_full[1], filling, (size_t)capacity), capacity);
  g_listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  CHECK_OK(bind(g_listener, (struct sockaddr*)&address, size));
  CHECK_OK(listen(g_listener, 8));
  CHECK_OK(getsockname(g_listener, (struct sockaddr*)&address, &size));

  g_holder = start_thread(holder, NULL);
  CHECK_OK(sem_wait(&g_up));
  CHECK_OK(sem_post(&g_up));
  void* (*const all[])(void*) = {on_mutex, on_cond, on_sem, on_timed, on_written, on_read, on_barrier, on_futex, on_pipe, on_full,
                                 on_recv,  on_accept, on_poll, on_join};
  enum { kAll = sizeof all / sizeof *all };
  pthread_t threads[kAll];
  for (int i = 0; i < kAll; ++i) threads[i] = start_thread(all[i], NULL);
  pthread_t second = start_thread(on_cond, &g_cond);
  CHECK_RC(pthread_detach(start_thread(on_sleep, NULL)), 0);
  join_thread(start_thread(dumper, NULL));

  CHECK_RC(pthread_mutex_lock(&g_around), 0);
  g_signalled = 1;
  CHECK_RC(pthread_cond_broadcast(&g_cond), 0);
  CHECK_RC(pthread_mutex_unlock(&g_around), 0);
  CHECK_OK(sem_post(&g_sem));
  CHECK_OK(sem_post(&g_timed));
  CHECK_OK(sem_post(&g_stop));
  int r = pthread_barrier_wait(&g_barrier);
  CHECK(r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD);
  __atomic_store_n(&g_word, 1, __ATOMIC_SEQ_CST);
  syscall(SYS_futex, &g_word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  CHECK_EQ(write(g_pipe[1], "x", 1), 1);
  CHECK_EQ(read(g_full[0], filling, 4096), 4096);
  CHECK_EQ(write(g_pair[1], "x", 1), 1);
  CHECK_EQ(write(g_polled[1][1], "x", 1), 1);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_OK(connect(fd, (struct sockaddr*)&address, size));
  for (int i = 0; i < kAll; ++i) join_thread(threads[i]);
  join_thread(second);
  free(filling);
  return 0;
}
