// fork(2) waits in libc for the list of streams, which a thread has that waits in fflush(NULL) for a slow reader; and no further OS thread can be had
// meanwhile, since that thread has the lock of the program's own malloc, too. So whoever forks gives way to the reader where he is. Main forks, and two workers
// at once do. (Who stood in fork could only go to an OS thread of its own: process/wait_many hung, on one carrier, behind malloc's lock.)
#include "../check.h"

#include <stdatomic.h>

enum { kRounds = 5, kBytes = 200000, kForkers = 2 };
extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void __libc_free(void*);

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_int g_has_threads, g_flushing, g_forking;
static int g_pipe[2];
static FILE* g_stream;
static char g_buffer[kBytes];

static void lock(void) {
  if (atomic_load(&g_has_threads)) pthread_mutex_lock(&g_mutex);
}
static void unlock(void) {
  if (atomic_load(&g_has_threads)) pthread_mutex_unlock(&g_mutex);
}
void* malloc(size_t size) {
  lock();
  void* p = __libc_malloc(size);
  unlock();
  return p;
}
void* calloc(size_t count, size_t size) {
  lock();
  void* p = __libc_calloc(count, size);
  unlock();
  return p;
}
void* realloc(void* old, size_t size) {
  lock();
  void* p = __libc_realloc(old, size);
  unlock();
  return p;
}
void free(void* p) {
  lock();
  __libc_free(p);
  unlock();
}

// As every malloc with a lock of its own has it.
static void after_fork(void) { CHECK_RC(pthread_mutex_init(&g_mutex, NULL), 0); }

static void* flushes(void* arg) {
  for (int i = 0; i < kBytes / 2; ++i) CHECK(putc_unlocked('x', g_stream) == 'x');
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  atomic_store(&g_flushing, 1);
  CHECK_EQ(fflush(NULL), 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  return arg;
}

static void* reads(void* arg) {
  while (atomic_load(&g_forking) < (arg ? kForkers : 1)) usleep(1000);
  usleep(20000);
  char text[4096];
  for (int left = kBytes / 2; left > 0;) {
    ssize_t n = read(g_pipe[0], text, sizeof text);
    CHECK(n > 0);
    left -= (int)n;
  }
  return NULL;
}

static void* forks(void* arg) {
  while (!atomic_load(&g_flushing)) usleep(1000);
  usleep(5000);
  atomic_fetch_add(&g_forking, 1);
  pid_t pid = fork();
  CHECK_OK(pid);
  if (pid == 0) _exit(7);
  CHECK_CHILD_EXITS(pid, 7);
  return arg;
}

int main(void) {
  CHECK_OK(pipe(g_pipe));
  CHECK((g_stream = fdopen(g_pipe[1], "w")) != NULL);
  CHECK_EQ(setvbuf(g_stream, g_buffer, _IOFBF, sizeof g_buffer), 0);
  CHECK_RC(pthread_atfork(NULL, NULL, after_fork), 0);
  for (int i = 0; i < 2 * kRounds; ++i) {
    int by_main = i % 2 == 0;
    atomic_store(&g_flushing, 0);
    atomic_store(&g_forking, 0);
    pthread_t threads[2 + kForkers];
    int n = 0;
    threads[n++] = start_thread(reads, by_main ? NULL : &g_forking);
    for (int k = 0; !by_main && k < kForkers; ++k) threads[n++] = start_thread(forks, NULL);
    threads[n++] = start_thread(flushes, NULL);
    atomic_store(&g_has_threads, 1);
    if (by_main) forks(NULL);
    for (int k = 0; k < n; ++k) join_thread(threads[k]);
  }
  return 0;
}
