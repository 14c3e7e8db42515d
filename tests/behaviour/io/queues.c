// System V queues and semaphores and POSIX queues: who receives waits for who sends, and who sends into a full queue for who receives,
// while others go on; time-outs, IPC_NOWAIT, O_NONBLOCK, removal under a waiter. msgop(2), semop(2), mq_overview(7).
#include "io.h"

#include <mqueue.h>
#include <stdatomic.h>
#include <sys/msg.h>
#include <sys/sem.h>

enum { kPairs = 6, kRounds = 50 };

struct message {
  long type;
  int value;
};

struct pair {
  int messages, semaphores;
  mqd_t queue;
};

static void change(int set, int which, int by) {
  struct sembuf one = {(unsigned short)which, (short)by, 0};
  errno = 123;
  CHECK_EQ(semop(set, &one, 1), 0);
  CHECK_EQ(errno, 123);
}

static void* sender(void* arg) {
  struct pair* p = arg;
  for (int i = 0; i < kRounds; ++i) {
    struct message m = {1 + i % 3, i};
    CHECK_OK(msgsnd(p->messages, &m, sizeof m.value, 0));
    change(p->semaphores, 0, 1);
    change(p->semaphores, 1, -1);
    CHECK_OK(mq_send(p->queue, (char*)&i, sizeof i, 5));  // the queue has room for one
  }
  return NULL;
}

static void* receiver(void* arg) {
  struct pair* p = arg;
  for (int i = 0; i < kRounds; ++i) {
    struct message m;
    unsigned priority;
    int value;
    if (i % 16 == 0) sleep_ms(1);
    errno = 123;
    CHECK_EQ(msgrcv(p->messages, &m, sizeof m.value, i % 2 ? 0 : 1 + i % 3, 0), sizeof m.value);
    CHECK_EQ(errno, 123);
    CHECK(m.type == 1 + i % 3 && m.value == i);
    change(p->semaphores, 0, -1);
    change(p->semaphores, 1, 1);
    CHECK_EQ(mq_receive(p->queue, (char*)&value, sizeof value, &priority), sizeof value);
    CHECK_EQ(errno, 123);
    CHECK(value == i && priority == 5);
  }
  return NULL;
}

static void* wait_for_removal(void* arg) {
  struct pair* p = arg;
  struct message m;
  struct sembuf two[] = {{1, 0, 0}, {0, -1, 0}};
  CHECK(msgrcv(p->messages, &m, sizeof m.value, 0, 0) == -1 && (errno == EIDRM || errno == EINVAL));  // EINVAL: it came too late
  CHECK(semop(p->semaphores, two, 2) == -1 && (errno == EIDRM || errno == EINVAL));
  return NULL;
}

static mqd_t open_queue(int flags) {
  static atomic_int next;
  char name[64];
  struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = sizeof(int)};
  snprintf(name, sizeof name, "/vtshim-%d-%d", (int)getpid(), atomic_fetch_add(&next, 1));
  mqd_t q = mq_open(name, O_CREAT | O_EXCL | O_RDWR | flags, 0600, &attr);
  if (q == -1 && errno == ENOSYS) SKIP("no POSIX queues here");
  CHECK_OK(q);
  CHECK_OK(mq_unlink(name));
  return q;
}

static void* edges(void* arg) {
  struct pair p = {msgget(IPC_PRIVATE, 0600), semget(IPC_PRIVATE, 2, 0600), open_queue(0)};
  struct message m = {7, 7};
  struct sembuf down = {0, -1, 0}, try = {0, -1, IPC_NOWAIT};
  struct timespec soon = {0, 10000000}, wrong = {0, 2000000000}, past = {1, 0}, later;
  int value = 3, limit = (int)sizeof m.value;
  CHECK_ERR(msgrcv(p.messages, &m, sizeof m.value, 0, IPC_NOWAIT), ENOMSG);
  CHECK_ERR(semop(p.semaphores, &try, 1), EAGAIN);
  long long t = now_ms();
  CHECK_ERR(semtimedop(p.semaphores, &down, 1, &soon), EAGAIN);
  CHECK(now_ms() - t >= 9);
  CHECK_ERR(semtimedop(p.semaphores, &down, 1, &wrong), EINVAL);
  CHECK_ERR(semop(p.semaphores, (struct sembuf*)8, 1), EFAULT);
  CHECK_ERR(semop(p.semaphores, &down, 0), EINVAL);
  CHECK_ERR(semop(-1, &down, 1), EINVAL);
  CHECK_ERR(msgsnd(p.messages, &(struct message){0, 0}, sizeof m.value, 0), EINVAL);
  CHECK_ERR(msgsnd(p.messages, (void*)8, sizeof m.value, 0), EFAULT);
  CHECK_OK(msgsnd(p.messages, &m, sizeof m.value, 0));
  CHECK_ERR(msgrcv(p.messages, &m, 1, 0, 0), E2BIG);
  CHECK_EQ(msgrcv(p.messages, &m, 1, 0, MSG_NOERROR), 1);
  struct msqid_ds status;
  CHECK_OK(msgctl(p.messages, IPC_STAT, &status));
  status.msg_qbytes = (msglen_t)limit;
  CHECK_OK(msgctl(p.messages, IPC_SET, &status));
  CHECK_OK(msgsnd(p.messages, &m, sizeof m.value, 0));
  CHECK_ERR(msgsnd(p.messages, &m, sizeof m.value, IPC_NOWAIT), EAGAIN);
  CHECK_EQ(msgrcv(p.messages, &m, sizeof m.value, 0, 0), sizeof m.value);
  pthread_t waiters[3];
  for (int i = 0; i < 3; ++i) waiters[i] = start_thread(wait_for_removal, &p);
  sleep_ms(2);
  CHECK_OK(msgctl(p.messages, IPC_RMID, NULL));
  while (semctl(p.semaphores, 0, GETNCNT) != 3) sched_yield();
  CHECK_OK(semctl(p.semaphores, 0, IPC_RMID));
  for (int i = 0; i < 3; ++i) join_thread(waiters[i]);

  later = deadline_after_ms(CLOCK_REALTIME, 10);
  CHECK_ERR(mq_timedreceive(p.queue, (char*)&value, sizeof value, NULL, &later), ETIMEDOUT);
  CHECK_ERR(mq_timedreceive(p.queue, (char*)&value, sizeof value, NULL, &past), ETIMEDOUT);
  CHECK_ERR(mq_timedreceive(p.queue, (char*)&value, sizeof value, NULL, &wrong), EINVAL);
  CHECK_ERR(mq_receive(p.queue, (char*)&value, 1, NULL), EMSGSIZE);
  CHECK_ERR(mq_receive(-1, (char*)&value, sizeof value, NULL), EBADF);
  CHECK_ERR(mq_send(p.queue, (char*)&value, sizeof value, 1u << 31), EINVAL);
  CHECK_OK(mq_timedsend(p.queue, (char*)&value, sizeof value, 0, &past));
  later = deadline_after_ms(CLOCK_REALTIME, 10);
  CHECK_ERR(mq_timedsend(p.queue, (char*)&value, sizeof value, 0, &later), ETIMEDOUT);
  CHECK_EQ(mq_timedreceive(p.queue, (char*)&value, sizeof value, NULL, &past), sizeof value);
  CHECK_OK(mq_close(p.queue));
  mqd_t q = open_queue(O_NONBLOCK);
  CHECK_ERR(mq_receive(q, (char*)&value, sizeof value, NULL), EAGAIN);
  CHECK_OK(mq_send(q, (char*)&value, sizeof value, 0));
  CHECK_ERR(mq_send(q, (char*)&value, sizeof value, 0), EAGAIN);
  CHECK_OK(mq_close(q));
  return arg;
}

int main(void) {
  struct pair pairs[kPairs];
  pthread_t threads[2 * kPairs];
  for (int i = 0; i < kPairs; ++i) {
    pairs[i] = (struct pair){msgget(IPC_PRIVATE, 0600), semget(IPC_PRIVATE, 2, 0600), open_queue(0)};
    CHECK(pairs[i].messages >= 0 && pairs[i].semaphores >= 0);
    threads[2 * i] = start_thread(i % 2 ? sender : receiver, &pairs[i]);
    threads[2 * i + 1] = start_thread(i % 2 ? receiver : sender, &pairs[i]);
  }
  for (int i = 0; i < 2 * kPairs; ++i) join_thread(threads[i]);
  for (int i = 0; i < kPairs; ++i) {
    CHECK_OK(msgctl(pairs[i].messages, IPC_RMID, NULL));
    CHECK_OK(semctl(pairs[i].semaphores, 0, IPC_RMID));
    CHECK_OK(mq_close(pairs[i].queue));
  }
  run_everywhere(3, edges);
  return 0;
}
