// setrlimit(2) against threads: RLIMIT_NOFILE lowered below descriptors that are open, RLIMIT_STACK raised and lowered, before and between
// threads; RLIMIT_AS and RLIMIT_NPROC too small for a thread: pthread_create succeeds or says EAGAIN, and all goes on when there is room again.
#include "../check.h"

#include <grp.h>
#include <semaphore.h>
#include <sys/resource.h>

static sem_t g_sem;
static int g_pipe[2];

static void limit(int which, rlim_t soft) {
  struct rlimit r;
  CHECK_OK(getrlimit(which, &r));
  r.rlim_cur = soft < r.rlim_max ? soft : r.rlim_max;
  CHECK_OK(setrlimit(which, &r));
}

static void* wait_and_read(void* arg) {
  char c;
  CHECK_OK(sem_wait(&g_sem));
  CHECK_EQ(read(g_pipe[0], &c, 1), 1);
  sleep_ms(1);
  return arg;
}

static void use_threads(void) {
  pthread_t threads[10];
  CHECK_OK(sem_init(&g_sem, 0, 0));
  CHECK_OK(pipe(g_pipe));
  for (long i = 0; i < 10; ++i) threads[i] = start_thread(wait_and_read, (void*)i);
  for (int i = 0; i < 10; ++i) CHECK_OK(sem_post(&g_sem));
  sleep_ms(2);
  for (int i = 0; i < 10; ++i) CHECK_EQ(write(g_pipe[1], "x", 1), 1);
  for (long i = 0; i < 10; ++i) CHECK_EQ((long)join_thread(threads[i]), i);
  CHECK_OK(close(g_pipe[0]) | close(g_pipe[1]));
}

static void few_files_first(void) {
  limit(RLIMIT_NOFILE, 20);
  use_threads();
}
static void few_files_later(void) {
  use_threads();
  limit(RLIMIT_NOFILE, 20);
  use_threads();
  int fds[64], n = 0;
  while ((fds[n] = dup(2)) >= 0) ++n;
  CHECK_EQ(errno, EMFILE);
  // The upper half is the runtime's as well. For a moment it may have one or two below: it's four that are given back for a pipe's two.
  CHECK(getenv("LD_PRELOAD") ? fds[n - 1] >= 9 : fds[n - 1] == 19);
  for (int i = 0; i < 4; ++i) CHECK_OK(close(fds[i]));
  use_threads();
  while (n > 4) CHECK_OK(close(fds[--n]));
  limit(RLIMIT_NOFILE, 1024);
  use_threads();
}
static void full_of_files_first(void) {
  limit(RLIMIT_NOFILE, 20);
  int fds[64], n = 0;
  while ((fds[n] = dup(2)) >= 0) ++n;
  CHECK_EQ(errno, EMFILE);
  n -= 2;
  CHECK_OK(close(fds[n]) | close(fds[n + 1]));
  use_threads();
}

static void* fill(void* arg) {
  size_t size = (size_t)arg;
  volatile char* room = __builtin_alloca(size);
  for (size_t i = 0; i < size; i += 4096) room[i] = 1;
  return (void*)(long)(room[0] == 1);
}
static void stacks(void) {
  for (int round = 0; round < 3; ++round) {
    limit(RLIMIT_STACK, (rlim_t)64 << 20);
    pthread_attr_t attr;
    CHECK_RC(pthread_getattr_default_np(&attr), 0);
    size_t size;
    CHECK_RC(pthread_attr_getstacksize(&attr, &size), 0);  // what the process began with
    for (int i = 0; i < 5; ++i) CHECK(join_thread(start_thread(fill, (void*)(size / 2))));
    limit(RLIMIT_STACK, 128 << 10);
    for (int i = 0; i < 5; ++i) CHECK(join_thread(start_thread(fill, (void*)(size / 2))));
    CHECK(join_thread(start_thread_with_stack(32 << 20, fill, (void*)(20 << 20))));
    use_threads();
  }
}

static void* nap(void* arg) {
  CHECK_OK(sem_wait(&g_sem));
  return arg;
}
// As many as there are, up to 2,000; then they end.
static int crowd(size_t stack) {
  enum { kMost = 2000 };
  static pthread_t threads[kMost];
  CHECK_OK(sem_init(&g_sem, 0, 0));
  pthread_attr_t attr;
  CHECK_RC(pthread_attr_init(&attr), 0);
  CHECK_RC(pthread_attr_setstacksize(&attr, stack), 0);
  int n = 0, r = 0;
  while (n < kMost && (r = pthread_create(&threads[n], &attr, nap, NULL)) == 0) ++n;
  if (n < kMost) CHECK_EQ(r, EAGAIN);
  for (int i = 0; i < n; ++i) CHECK_OK(sem_post(&g_sem));
  for (int i = 0; i < n; ++i) join_thread(threads[i]);
  return n;
}
static void little_memory_later(void) {
  use_threads();
  limit(RLIMIT_AS, (rlim_t)600 << 20);
  CHECK(crowd(16 << 20) < 2000);
  limit(RLIMIT_AS, RLIM_INFINITY);
  use_threads();
}
static void little_memory_first(void) {
  limit(RLIMIT_AS, (rlim_t)24 << 20);
  CHECK(crowd(16 << 20) < 2000);
  limit(RLIMIT_AS, RLIM_INFINITY);
  use_threads();
}

static void be_nobody(void) {
  if (geteuid() != 0) return;
  CHECK_OK(setgroups(0, NULL));
  CHECK_OK(setgid(54321));
  CHECK_OK(setuid(54321));
}
static void no_process_first(void) {
  limit(RLIMIT_NPROC, 1);
  be_nobody();
  int n = crowd(64 << 10);
  (void)n;  // root is exempt, and others may have processes already
}
static void no_process_later(void) {
  use_threads();
  limit(RLIMIT_NPROC, 1);
  be_nobody();
  crowd(64 << 10);
}

int main(void) {
  void (*parts[])(void) = {few_files_first, few_files_later, full_of_files_first, stacks, little_memory_first, little_memory_later, no_process_first, no_process_later};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; ++i) {
    pid_t pid = fork_child(parts[i]);
    int status = wait_status(pid);
    if (status != 0) check_fail(__FILE__, __LINE__, 0, "part %zu: status 0x%x", i, status);
  }
  return 0;
}
