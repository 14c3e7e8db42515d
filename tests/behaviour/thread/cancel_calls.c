// A thread that waits in a call of the kernel's queues, of FIFOs and pipes, for a file's lock, on a process-shared semaphore or condition variable, or
// in stdio is cancelled: the call ends, cleanup handlers run, and a
// stream's lock is free again. pthreads(7), "cancellation points".
#include "../io/io.h"

#include <aio.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/msg.h>
#include <sys/stat.h>

enum { kCalls = 22 };

static int fds[2], full[2], empty[2], pair[2], queue, full_queue;
static mqd_t posix_queue, full_posix_queue;
static int held, wanted;  // two descriptions of a file, the first with a lock
static FILE *in, *out;
static sem_t shared_sem;
static pthread_cond_t shared_cond;
static pthread_mutex_t shared_mutex, private_mutex = PTHREAD_MUTEX_INITIALIZER;
static char fifo[64];
static atomic_int cleaned, waits;

static void cleanup(void* arg) {
  (void)arg;
  atomic_fetch_add(&cleaned, 1);
}

static void unlock(void* mutex) { CHECK_RC(pthread_mutex_unlock(mutex), 0); }

static void wait_with(pthread_mutex_t* mutex, const struct timespec* deadline) {
  CHECK_RC(pthread_mutex_lock(mutex), 0);
  pthread_cleanup_push(unlock, mutex);
  for (;;) CHECK_RC(deadline ? pthread_cond_timedwait(&shared_cond, mutex, deadline) : pthread_cond_wait(&shared_cond, mutex), 0);
  pthread_cleanup_pop(1);
}

static void call(int way) {
  char room[64] = {0};
  struct iovec one = {room, 1};
  struct mmsghdr messages = {.msg_hdr = {.msg_iov = &one, .msg_iovlen = 1}};
  struct {
    long type;
    char text[1024];
  } message = {.type = 1};
  struct aiocb op = {.aio_fildes = fds[0], .aio_buf = room, .aio_nbytes = 1};
  const struct aiocb* list[] = {&op};
  struct timespec late = deadline_after_ms(CLOCK_REALTIME, 100000);
  switch (way) {
    case 0: recvmmsg(pair[0], &messages, 1, 0, NULL); break;
    case 1: open(fifo, O_RDONLY); break;
    case 2: msgrcv(queue, &message, sizeof message.text, 0, 0); break;
    case 3: msgsnd(full_queue, &message, sizeof message.text, 0); break;
    case 4: mq_receive(posix_queue, room, sizeof room, NULL); break;
    case 5: mq_timedreceive(posix_queue, room, sizeof room, NULL, &late); break;
    case 6: mq_send(full_posix_queue, room, 1, 0); break;
    case 7: mq_timedsend(full_posix_queue, room, 1, 0, &late); break;
    case 8: splice(fds[0], NULL, empty[1], NULL, 1, 0); break;
    case 9: tee(fds[0], empty[1], 1, 0); break;
    case 10: vmsplice(full[1], &one, 1, 0); break;
    case 11: CHECK(fgets(room, sizeof room, in) == NULL); break;
    case 12: fread(room, 1, sizeof room, in); break;
    case 13: getc(in); break;
    case 14:
      for (int i = 0; i < 100000; ++i) fputs("many words for a pipe that nobody reads\n", out);
      break;
    case 15: sem_wait(&shared_sem); break;
    case 16: sem_timedwait(&shared_sem, &late); break;
    case 17: wait_with(&shared_mutex, NULL); break;
    case 18: wait_with(&private_mutex, &late); break;
    case 19: fcntl(wanted, F_OFD_SETLKW, &(struct flock){.l_type = F_WRLCK}); break;
    case 20: clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &(struct timespec){1000, 0}, NULL); break;
    default:
      aio_suspend(list, 1, NULL);  // the request isn't made: at once, but a cancellation point all the same
      for (;;) pause();
  }
}

static void* body(void* arg) {
  pthread_cleanup_push(cleanup, NULL);
  atomic_store(&waits, 1);
  call((int)(long)arg);
  pthread_testcancel();
  pthread_cleanup_pop(0);
  return NULL;
}

static mqd_t open_queue(int which) {
  char name[64];
  struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = 16};
  snprintf(name, sizeof name, "/vtshim-cancel-%d-%d", (int)getpid(), which);
  mqd_t q = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attr);
  CHECK_OK(q);
  CHECK_OK(mq_unlink(name));
  return q;
}

int main(void) {
  char room[4096] = {0};
  signal(SIGPIPE, SIG_IGN);
  CHECK_OK(pipe(fds));
  CHECK_OK(pipe(full));
  CHECK_OK(pipe(empty));
  CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
  CHECK_OK(fcntl(full[1], F_SETFL, O_NONBLOCK));
  while (write(full[1], room, sizeof room) > 0) continue;
  CHECK_OK(fcntl(full[1], F_SETFL, 0));
  CHECK_OK(queue = msgget(IPC_PRIVATE, 0600));
  CHECK_OK(full_queue = msgget(IPC_PRIVATE, 0600));
  struct {
    long type;
    char text[1024];
  } message = {.type = 1};
  while (msgsnd(full_queue, &message, sizeof message.text, IPC_NOWAIT) == 0) continue;
  posix_queue = open_queue(0);
  full_posix_queue = open_queue(1);
  CHECK_OK(mq_send(full_posix_queue, "x", 1, 0));
  snprintf(fifo, sizeof fifo, "/tmp/vtshim-cancel-%d", (int)getpid());
  CHECK_OK(mkfifo(fifo, 0600));
  pthread_condattr_t cond_shared;
  pthread_mutexattr_t mutex_shared;
  CHECK_RC(pthread_condattr_init(&cond_shared), 0);
  CHECK_RC(pthread_condattr_setpshared(&cond_shared, PTHREAD_PROCESS_SHARED), 0);
  CHECK_RC(pthread_cond_init(&shared_cond, &cond_shared), 0);
  CHECK_RC(pthread_mutexattr_init(&mutex_shared), 0);
  CHECK_RC(pthread_mutexattr_setpshared(&mutex_shared, PTHREAD_PROCESS_SHARED), 0);
  CHECK_RC(pthread_mutex_init(&shared_mutex, &mutex_shared), 0);
  CHECK_OK(sem_init(&shared_sem, 1, 0));
  held = unnamed_file(0);
  snprintf(room, sizeof room, "/proc/self/fd/%d", held);
  CHECK_OK(wanted = open(room, O_RDWR));
  CHECK_OK(fcntl(held, F_OFD_SETLK, &(struct flock){.l_type = F_WRLCK}));
  CHECK((in = fdopen(fds[0], "r")) != NULL);
  CHECK((out = fdopen(full[1], "w")) != NULL);
  for (int way = 0; way < kCalls; ++way)
    for (int round = 0; round < 3; ++round) {
      atomic_store(&cleaned, 0);
      atomic_store(&waits, 0);
      pthread_t thread = start_thread(body, (void*)(long)way);
      while (round && !atomic_load(&waits)) sched_yield();
      if (round == 2) sleep_ms(3);  // before, at the begin of, and in the call
      CHECK_RC(pthread_cancel(thread), 0);
      CHECK(join_thread(thread) == PTHREAD_CANCELED);
      CHECK_EQ(atomic_load(&cleaned) <= 1, 1);
      if (round) CHECK_EQ(atomic_load(&cleaned), 1);
      CHECK_RC(ftrylockfile(in), 0);
      CHECK_RC(ftrylockfile(out), 0);
      funlockfile(in);
      funlockfile(out);
    }
  CHECK_OK(unlink(fifo));
  CHECK_OK(msgctl(queue, IPC_RMID, NULL));
  CHECK_OK(msgctl(full_queue, IPC_RMID, NULL));
  _exit(0);  // `out` is full
}
