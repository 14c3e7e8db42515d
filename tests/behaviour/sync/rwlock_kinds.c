// pthread_rwlockattr_setkind_np(3): with PREFER_WRITER_NONRECURSIVE a reader that comes after a waiting writer waits
// until that writer has had its turn; with the default, PREFER_READER, it gets in; a timed-out writer lets readers in.
#include "../check.h"

#include <semaphore.h>

static pthread_rwlock_t g_lock;
static char g_order[8];
static int g_used;
static sem_t g_writer_done;

static void* write_it(void* arg) {
  CHECK_RC(pthread_rwlock_wrlock(&g_lock), 0);
  g_order[g_used++] = 'w';
  CHECK_RC(pthread_rwlock_unlock(&g_lock), 0);
  CHECK_OK(sem_post(&g_writer_done));
  return arg;
}

static void* read_it(void* arg) {
  CHECK_RC(pthread_rwlock_rdlock(&g_lock), 0);
  __atomic_store_n(&g_order[__atomic_fetch_add(&g_used, 1, __ATOMIC_SEQ_CST)], 'r', __ATOMIC_SEQ_CST);
  CHECK_RC(pthread_rwlock_unlock(&g_lock), 0);
  return arg;
}

static void* time_out_writing(void* arg) {
  struct timespec soon = deadline_after_ms(CLOCK_REALTIME, 30);
  CHECK_RC(pthread_rwlock_timedwrlock(&g_lock, &soon), ETIMEDOUT);
  return arg;
}

static void* try_read(void* arg) {
  long rc = pthread_rwlock_tryrdlock(&g_lock);
  if (rc == 0) CHECK_RC(pthread_rwlock_unlock(&g_lock), 0);
  (void)arg;
  return (void*)rc;
}

static void init(int kind) {
  pthread_rwlockattr_t attr;
  int got = -1;
  CHECK_RC(pthread_rwlockattr_init(&attr), 0);
  CHECK_RC(pthread_rwlockattr_getkind_np(&attr, &got), 0);
  CHECK_EQ(got, PTHREAD_RWLOCK_DEFAULT_NP);
  CHECK_RC(pthread_rwlockattr_setkind_np(&attr, kind), 0);
  CHECK_RC(pthread_rwlockattr_getkind_np(&attr, &got), 0);
  CHECK_EQ(got, kind);
  CHECK_RC(pthread_rwlock_init(&g_lock, &attr), 0);
  CHECK_RC(pthread_rwlockattr_destroy(&attr), 0);
  g_used = 0;
  memset(g_order, 0, sizeof g_order);
}

int main(void) {
  CHECK_OK(sem_init(&g_writer_done, 0, 0));
  for (int round = 0; round < 20; ++round) {
    init(PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    CHECK_RC(pthread_rwlock_rdlock(&g_lock), 0);
    pthread_t writer = start_thread(write_it, NULL);
    // The writer waits as soon as new readers are refused; nothing else can refuse them.
    while ((long)join_thread(start_thread(try_read, NULL)) == 0) sleep_ms(1);
    pthread_t reader = start_thread(read_it, NULL);
    sleep_ms(1);
    CHECK_EQ(__atomic_load_n(&g_used, __ATOMIC_SEQ_CST), 0);
    CHECK_RC(pthread_rwlock_unlock(&g_lock), 0);
    join_thread(writer);
    join_thread(reader);
    CHECK_OK(sem_wait(&g_writer_done));
    CHECK_STR(g_order, "wr");
    CHECK_RC(pthread_rwlock_destroy(&g_lock), 0);

    init(PTHREAD_RWLOCK_PREFER_READER_NP);
    CHECK_RC(pthread_rwlock_rdlock(&g_lock), 0);
    writer = start_thread(write_it, NULL);
    sleep_ms(1);
    join_thread(start_thread(read_it, NULL));  // gets in whether the writer waits already or not
    CHECK_RC(pthread_rwlock_unlock(&g_lock), 0);
    join_thread(writer);
    CHECK_OK(sem_wait(&g_writer_done));
    CHECK_STR(g_order, "rw");
    CHECK_RC(pthread_rwlock_destroy(&g_lock), 0);
  }
  init(PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  CHECK_RC(pthread_rwlock_rdlock(&g_lock), 0);
  pthread_t writer = start_thread(time_out_writing, NULL);
  pthread_t reader = start_thread(read_it, NULL);
  join_thread(writer);
  join_thread(reader);  // though the first read lock is still held
  CHECK_STR(g_order, "r");
  CHECK_RC(pthread_rwlock_unlock(&g_lock), 0);
  return 0;
}
