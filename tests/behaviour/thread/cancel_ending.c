// pthread_cancel(3), pthread_exit(3): a thread that is ending by one of these waits in its cleanup handlers and destructors as any other, and another
// request doesn't end those waits. One that has returned from its start routine can still be cancelled in a destructor: that one is left, the
// others run, and the thread's result is PTHREAD_CANCELED.
#include "../check.h"

#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { kRounds = 5 };
enum End { kReturns, kExits, kCancelled };

extern int __cxa_thread_atexit_impl(void (*)(void*), void*, void*);
extern void* __dso_handle;

static pthread_key_t g_keys[2];
static sem_t g_here, g_go, g_never, *g_shared;
static int g_pipe[2];
static atomic_int g_waited, g_destroyed;
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;

// Tells that it is there, and then waits in several ways for what comes only after a while.
static void wait_in_all_ways(void* arg) {
  (void)arg;
  CHECK_OK(sem_post(&g_here));
  CHECK_OK(sem_wait(&g_go));
  char byte;
  CHECK_EQ(read(g_pipe[0], &byte, 1), 1);
  struct pollfd nothing = {g_pipe[0], POLLIN, 0};
  CHECK_EQ(poll(&nothing, 1, 5), 0);
  CHECK_OK(usleep(1000));
  CHECK_OK(sem_wait(g_shared));  // an announced call
  struct timespec soon = deadline_after_ms(CLOCK_REALTIME, 5);
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  int r;
  while ((r = pthread_cond_timedwait(&g_cond, &g_mutex, &soon)) == 0) {
  }
  CHECK_EQ(r, ETIMEDOUT);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  atomic_fetch_add(&g_waited, 1);
}

// Of a thread that nobody may cancel any more.
static void* ends(void* arg) {
  enum End how = (enum End)(long)arg;
  CHECK_RC(pthread_setspecific(g_keys[0], arg), 0);
  CHECK_OK(__cxa_thread_atexit_impl(wait_in_all_ways, NULL, &__dso_handle));
  pthread_cleanup_push(wait_in_all_ways, NULL);
  if (how == kExits) pthread_exit((void*)7);
  CHECK_OK(sem_post(&g_here));
  sem_wait(&g_never);
  pthread_cleanup_pop(0);
  return arg;
}

static void wait_in_destructor(void* arg) {
  CHECK((long)arg > 0);
  wait_in_all_ways(NULL);
}

static void test_ending(enum End how) {
  atomic_store(&g_waited, 0);
  pthread_t thread = start_thread(ends, (void*)(long)how);
  if (how == kCancelled) {
    CHECK_OK(sem_wait(&g_here));
    CHECK_RC(pthread_cancel(thread), 0);
  }
  for (int i = 0; i < 3; ++i) {  // its cleanup handler, destructor of thread-local memory and of a key
    CHECK_OK(sem_wait(&g_here));
    sleep_ms(2);
    CHECK_RC(pthread_cancel(thread), 0);
    CHECK_EQ(atomic_load(&g_waited), i);
    CHECK_OK(sem_post(&g_go));
    sleep_ms(2);
    CHECK_EQ(write(g_pipe[1], "x", 1), 1);
    sleep_ms(10);
    CHECK_OK(sem_post(g_shared));
  }
  CHECK(join_thread(thread) == (how == kExits ? (void*)7 : PTHREAD_CANCELED));
  CHECK_EQ(atomic_load(&g_waited), 3);
}

static void be_cancelled(void* arg) {
  (void)arg;
  CHECK_OK(sem_post(&g_here));
  sem_wait(&g_never);
  check_fail(__FILE__, __LINE__, errno, "not cancelled");
}
static void count(void* arg) {
  if (arg == (void*)1) be_cancelled(NULL);
  atomic_fetch_add(&g_destroyed, 1);
}

// It is cancelled in one of its destructors: the key's, or that of thread-local memory.
static void* returns(void* arg) {
  int in_key = arg != NULL;
  CHECK_RC(pthread_setspecific(g_keys[1], in_key ? (void*)1 : (void*)2), 0);
  CHECK_OK(__cxa_thread_atexit_impl(count, (void*)3, &__dso_handle));
  if (!in_key) CHECK_OK(__cxa_thread_atexit_impl(be_cancelled, NULL, &__dso_handle));
  CHECK_OK(__cxa_thread_atexit_impl(count, (void*)4, &__dso_handle));
  return (void*)5;
}

static void test_returned(int in_key) {
  atomic_store(&g_destroyed, 0);
  pthread_t thread = start_thread(returns, in_key ? &g_destroyed : NULL);
  CHECK_OK(sem_wait(&g_here));
  sleep_ms(1);
  CHECK_RC(pthread_cancel(thread), 0);
  CHECK(join_thread(thread) == PTHREAD_CANCELED);
  CHECK_EQ(atomic_load(&g_destroyed), in_key ? 2 : 3);
}

int main(void) {
  CHECK_RC(pthread_key_create(&g_keys[0], wait_in_destructor), 0);
  CHECK_RC(pthread_key_create(&g_keys[1], count), 0);
  CHECK_OK(sem_init(&g_here, 0, 0));
  CHECK_OK(sem_init(&g_go, 0, 0));
  CHECK_OK(sem_init(&g_never, 0, 0));
  CHECK_OK(pipe(g_pipe));
  g_shared = mmap(NULL, sizeof *g_shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(g_shared != MAP_FAILED);
  CHECK_OK(sem_init(g_shared, 1, 0));
  for (int i = 0; i < kRounds; ++i) {
    test_ending(kExits);
    test_ending(kCancelled);
    test_returned(0);
    test_returned(1);
  }
  return 0;
}
