// Where the system gives few OS threads, threads that block in the kernel don't keep those from running that will let them go; nor does one that
// nobody of the process lets go keep the others from it.
#include "../check.h"

#include <fcntl.h>
#include <grp.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { kUser = 54321, kOsThreads = 24, kThreads = 150 };

static sem_t* g_sem;
static atomic_int g_beats, g_through;
static atomic_bool g_stop;

static void* beat(void* arg) {
  while (!atomic_load(&g_stop)) {
    atomic_fetch_add(&g_beats, 1);
    usleep(1000);
  }
  return arg;
}

static void* waits(void* arg) {
  CHECK_OK(sem_wait(g_sem));
  atomic_fetch_add(&g_through, 1);
  return arg;
}

static int g_file;
static char g_name[] = "/tmp/vtshim-refused-XXXXXX";
static void* locks(void* arg) {
  int fd = open(g_name, O_RDWR);
  CHECK_OK(fd);
  CHECK_OK(flock(fd, LOCK_EX));
  CHECK_OK(close(fd));
  atomic_fetch_add(&g_through, 1);
  return arg;
}

static void all(void* (*run)(void*), void (*go)(int)) {
  static pthread_t threads[kThreads];
  pthread_t beating = start_thread(beat, NULL);
  atomic_store(&g_stop, 0);
  atomic_store(&g_through, 0);
  int n = 0;  // natively the system refuses those beyond
  while (n < kThreads && pthread_create(&threads[n], NULL, run, NULL) == 0) ++n;
  CHECK(n >= 4);
  int then = atomic_load(&g_beats);
  while (atomic_load(&g_beats) < then + 50) usleep(1000);
  CHECK_EQ(atomic_load(&g_through), 0);
  go(n);
  for (int i = 0; i < n; ++i) join_thread(threads[i]);
  CHECK_EQ(atomic_load(&g_through), n);
  atomic_store(&g_stop, 1);
  join_thread(beating);
}

static void post(int n) {
  for (int i = 0; i < n; ++i) CHECK_OK(sem_post(g_sem));
}
static void let_go(int n) {
  (void)n;
  CHECK_OK(flock(g_file, LOCK_UN));
}

int main(void) {
  if (geteuid() != 0) return 77;
  g_sem = mmap(NULL, sizeof *g_sem, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(g_sem != MAP_FAILED);
  CHECK_OK(sem_init(g_sem, 1, 0));
  struct rlimit limit = {kOsThreads, kOsThreads};
  CHECK_OK(setgroups(0, NULL));
  CHECK_OK(setgid(kUser));
  CHECK_OK(setuid(kUser + getpid() % 1000));
  CHECK_OK(g_file = mkstemp(g_name));
  CHECK_OK(setrlimit(RLIMIT_NPROC, &limit));
  all(waits, post);
  CHECK_OK(flock(g_file, LOCK_EX));
  all(locks, let_go);
  CHECK_OK(unlink(g_name));
  return 0;
}
