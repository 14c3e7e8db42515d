// Asynchronous cancellation ends a thread in whatever it waits, also where that is no cancellation point: a bare system call, a futex, a lock on a file,
// another thread's pthread_once. Its cleanup handlers run. While it's disabled the wait goes on.
#include "../check.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum what { kPause, kRead, kNanosleep, kPpoll, kPselect, kFutex, kFutexShared, kFutexTimed, kSuspend, kAsmPause, kFlock, kFlockCall, kSemop, kOnce, kEpoll, kPoll, kWhats };

static int g_pipe[2], g_locked, g_semaphore, g_epoll;
static char g_name[] = "/tmp/vtshim-async-XXXXXX";
static pthread_once_t g_once = PTHREAD_ONCE_INIT;
static sem_t g_once_ends;
static int* g_shared_word;
static atomic_int g_there, g_cleaned;

static void once_body(void) {
  while (sem_wait(&g_once_ends) != 0) {
  }
}
static void* runs_once(void* arg) {
  CHECK_RC(pthread_once(&g_once, once_body), 0);
  return arg;
}

static void wait_for(enum what what, int fd) {
  static int word;
  struct timespec late = {3600, 0};
  struct sembuf down = {0, -1, 0};
  sigset_t none;
  fd_set set;
  char byte[128];
  long r;
  sigemptyset(&none);
  FD_ZERO(&set);
  FD_SET(g_pipe[0], &set);
  atomic_fetch_add(&g_there, 1);
  switch (what) {
    case kPause: syscall(SYS_pause); break;
    case kRead: syscall(SYS_read, g_pipe[0], byte, 1); break;
    case kNanosleep: syscall(SYS_nanosleep, &late, NULL); break;
    case kPpoll: syscall(SYS_ppoll, NULL, 0, NULL, NULL, 8); break;
    case kPselect: syscall(SYS_pselect6, g_pipe[0] + 1, &set, NULL, NULL, NULL, NULL); break;
    case kFutex: syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0); break;
    case kFutexShared: syscall(SYS_futex, g_shared_word, FUTEX_WAIT, 0, NULL, NULL, 0); break;
    case kFutexTimed: syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &late, NULL, 0); break;
    case kSuspend: syscall(SYS_rt_sigsuspend, &none, 8L); break;
    case kAsmPause: asm volatile("syscall" : "=a"(r) : "a"(SYS_pause) : "rcx", "r11", "memory"); break;
    case kFlock: flock(fd, LOCK_EX); break;
    case kFlockCall: syscall(SYS_flock, fd, LOCK_EX); break;
    case kSemop: semop(g_semaphore, &down, 1); break;
    case kOnce: pthread_once(&g_once, once_body); break;
    case kEpoll: syscall(SYS_epoll_wait, g_epoll, byte, 1, -1); break;
    case kPoll: syscall(SYS_poll, NULL, 0, -1); break;
    case kWhats: break;
  }
}

static void cleanup(void* arg) {
  if (arg != (void*)-1) close((int)(long)arg);
  atomic_fetch_add(&g_cleaned, 1);
}

static void* waiter(void* arg) {
  int fd = open(g_name, O_RDWR);
  CHECK_OK(fd);
  pthread_cleanup_push(cleanup, (void*)(long)fd);
  CHECK_RC(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL), 0);
  wait_for((enum what)(long)arg, fd);
  check_fail(__FILE__, __LINE__, errno, "not cancelled at %d", (int)(long)arg);
  pthread_cleanup_pop(0);
  return arg;
}

static void* disabled(void* arg) {
  char byte;
  CHECK_RC(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL), 0);
  CHECK_RC(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL), 0);
  atomic_fetch_add(&g_there, 1);
  CHECK_EQ(syscall(SYS_read, g_pipe[0], &byte, 1), 1);
  return arg;
}

int main(void) {
  CHECK_OK(pipe(g_pipe));
  CHECK_OK(sem_init(&g_once_ends, 0, 0));
  CHECK_OK(g_locked = mkstemp(g_name));
  CHECK_OK(flock(g_locked, LOCK_EX));
  CHECK_OK(g_semaphore = semget(IPC_PRIVATE, 1, 0600));
  CHECK_OK(g_epoll = epoll_create1(0));
  g_shared_word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(g_shared_word != MAP_FAILED);
  pthread_t once = start_thread(runs_once, NULL);
  for (int ms = 0; ms <= 20; ms += 20) {
    pthread_t threads[kWhats];
    atomic_store(&g_there, 0), atomic_store(&g_cleaned, 0);
    for (long i = 0; i < kWhats; ++i) threads[i] = start_thread(waiter, (void*)i);
    while (atomic_load(&g_there) != kWhats) sched_yield();
    if (ms) sleep_ms(ms);
    for (int i = 0; i < kWhats; ++i) CHECK_RC(pthread_cancel(threads[i]), 0);
    for (int i = 0; i < kWhats; ++i) CHECK(join_thread(threads[i]) == PTHREAD_CANCELED);
    CHECK_EQ(atomic_load(&g_cleaned), kWhats);
  }
  atomic_store(&g_there, 0);
  pthread_t thread = start_thread(disabled, &g_there);
  while (!atomic_load(&g_there)) sched_yield();
  sleep_ms(5);
  CHECK_RC(pthread_cancel(thread), 0);
  sleep_ms(5);
  CHECK_EQ(write(g_pipe[1], "x", 1), 1);
  CHECK(join_thread(thread) == &g_there);
  CHECK_OK(sem_post(&g_once_ends));
  join_thread(once);
  CHECK_OK(semctl(g_semaphore, 0, IPC_RMID));
  CHECK_OK(unlink(g_name));
  return 0;
}
