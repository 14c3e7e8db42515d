// futex(2) by syscall(2), as Rust's std, abseil and libstdc++ use it: WAIT, WAKE, the BITSET forms, REQUEUE, CMP_REQUEUE, WAKE_OP, private
// and not; how many each wakes; time-outs on both clocks; and what is malformed.
#include "../check.h"

#include <linux/futex.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { kThreads = 60 };
static uint32_t words[2];
static int waiting, private_flag;
static int woken[kThreads];  // what each one's wait returned, plus 1

static long futex(uint32_t* word, int op, uint32_t value, const void* timeout, uint32_t* second, uint32_t value3) {
  return syscall(SYS_futex, word, op, value, timeout, second, value3);
}
static long futex_p(uint32_t* word, int op, uint32_t value, const void* timeout, uint32_t* second, uint32_t value3) {
  return futex(word, op | private_flag, value, timeout, second, value3);
}

typedef struct {
  int number;
  uint32_t bits;
} Waiter;

static void* wait_on_first(void* arg) {
  Waiter* w = arg;
  __atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
  long r = w->bits == ~0u ? futex_p(&words[0], FUTEX_WAIT, 7, NULL, NULL, 0)
                          : futex_p(&words[0], FUTEX_WAIT_BITSET, 7, NULL, NULL, w->bits);
  CHECK(r == 0 || errno == EAGAIN);
  __atomic_store_n(&woken[w->number], 1, __ATOMIC_SEQ_CST);
  return NULL;
}

static Waiter waiters[kThreads];
static pthread_t threads[kThreads];

static int count_woken(void) {
  int n = 0;
  for (int i = 0; i < kThreads; ++i) n += __atomic_load_n(&woken[i], __ATOMIC_SEQ_CST);
  return n;
}

// Moves them to the second word and back, by which it is known how many wait there.
static int queued(void) {
  int total = 0;
  long n = futex_p(&words[0], FUTEX_REQUEUE, 0, (void*)(long)kThreads, &words[1], 0);
  CHECK_OK(n);
  total = (int)n;
  n = futex_p(&words[1], FUTEX_REQUEUE, 0, (void*)(long)kThreads, &words[0], 0);
  CHECK_EQ(n, total);
  return total;
}

static void start_waiters(void) {
  words[0] = 7;
  words[1] = 9;
  memset(woken, 0, sizeof woken);
  for (int i = 0; i < kThreads; ++i) {
    waiters[i] = (Waiter){i, i % 3 == 0 ? ~0u : 1u << (i % 3)};
    threads[i] = start_thread(wait_on_first, &waiters[i]);
  }
  while (queued() != kThreads) sleep_ms(1);
}

static void join_waiters(void) {
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
}

static void check_counts(void) {
  start_waiters();
  CHECK_EQ(futex_p(&words[0], FUTEX_WAKE, 3, NULL, NULL, 0), 3);
  while (count_woken() != 3) sleep_ms(1);
  CHECK_EQ(futex_p(&words[1], FUTEX_WAKE, 3, NULL, NULL, 0), 0);
  int any = kThreads / 3;  // those that wait for any bit, less who has just been woken
  for (int i = 0; i < kThreads; i += 3) any -= woken[i];
  CHECK_EQ(futex_p(&words[0], FUTEX_WAKE_BITSET, 1000, NULL, NULL, 8), any);
  CHECK_EQ(futex_p(&words[0], FUTEX_WAKE_BITSET, 5, NULL, NULL, 2), 5);
  CHECK_EQ(queued(), kThreads - 8 - any);
  CHECK_EQ(futex_p(&words[0], FUTEX_WAKE, INT32_MAX, NULL, NULL, 0), kThreads - 8 - any);
  join_waiters();
  CHECK_EQ(futex_p(&words[0], FUTEX_WAKE, 1, NULL, NULL, 0), 0);
}

static void check_requeue(void) {
  start_waiters();
  CHECK_ERR(futex_p(&words[0], FUTEX_CMP_REQUEUE, 1, (void*)10L, &words[1], 8), EAGAIN);
  CHECK_EQ(futex_p(&words[0], FUTEX_CMP_REQUEUE, 2, (void*)10L, &words[1], 7), 12);
  CHECK_EQ(futex_p(&words[0], FUTEX_REQUEUE, 1, (void*)20L, &words[1], 0), 21);
  while (count_woken() != 3) sleep_ms(1);
  CHECK_EQ(futex_p(&words[1], FUTEX_WAKE, 1000, NULL, NULL, 0), 30);
  CHECK_EQ(queued(), kThreads - 33);
  CHECK_EQ(futex_p(&words[0], FUTEX_WAKE, 1000, NULL, NULL, 0), kThreads - 33);
  join_waiters();
}

static void check_wake_op(void) {
  start_waiters();
  CHECK_EQ(futex_p(&words[0], FUTEX_REQUEUE, 0, (void*)20L, &words[1], 0), 20);
  // 9 + 4; was it below 9? No: the second word's waiters stay.
  CHECK_EQ(futex_p(&words[0], FUTEX_WAKE_OP, 2, (void*)5L, &words[1], FUTEX_OP(FUTEX_OP_ADD, 4, FUTEX_OP_CMP_LT, 9)), 2);
  CHECK_EQ(words[1], 13);
  CHECK_EQ(futex_p(&words[0], FUTEX_WAKE_OP, 2, (void*)5L, &words[1], FUTEX_OP(FUTEX_OP_ANDN, 12, FUTEX_OP_CMP_EQ, 13)), 7);
  CHECK_EQ(words[1], 1);
  const int or_bit = FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT;
  CHECK_EQ(futex_p(&words[0], FUTEX_WAKE_OP, 1, (void*)1L, &words[1], FUTEX_OP(or_bit, 5, FUTEX_OP_CMP_GT, -1)), 2);
  CHECK_EQ(words[1], 33);
  CHECK_EQ(futex_p(&words[1], FUTEX_WAKE, 1000, NULL, NULL, 0), 14);
  CHECK_EQ(futex_p(&words[0], FUTEX_WAKE, 1000, NULL, NULL, 0), kThreads - 25);
  join_waiters();
}

static void* check_timeouts(void* arg) {
  uint32_t word = 1;
  struct timespec short_time = {0, 2000000}, past = {1, 0}, bad = {0, 1000000000}, negative = {-1, 0};
  CHECK_ERR(futex_p(&word, FUTEX_WAIT, 1, &short_time, NULL, 0), ETIMEDOUT);
  CHECK_ERR(futex_p(&word, FUTEX_WAIT, 2, &short_time, NULL, 0), EAGAIN);
  struct timespec deadline = deadline_after_ms(CLOCK_MONOTONIC, 2);
  CHECK_ERR(futex_p(&word, FUTEX_WAIT_BITSET, 1, &deadline, NULL, 1), ETIMEDOUT);
  deadline = deadline_after_ms(CLOCK_REALTIME, 2);
  CHECK_ERR(futex_p(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 1, &deadline, NULL, 1), ETIMEDOUT);
  CHECK_ERR(futex_p(&word, FUTEX_WAIT_BITSET, 1, &past, NULL, ~0u), ETIMEDOUT);
  CHECK_ERR(futex_p(&word, FUTEX_WAIT_BITSET, 1, &past, NULL, 0), EINVAL);
  CHECK_ERR(futex_p(&word, FUTEX_WAIT, 1, &bad, NULL, 0), EINVAL);
  CHECK_ERR(futex_p(&word, FUTEX_WAIT, 1, &negative, NULL, 0), EINVAL);
  CHECK_ERR(futex_p(&word, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 1, &short_time, NULL, 0), ENOSYS);
  return arg;
}

static void* check_malformed(void* arg) {
  uint32_t word[2] = {1, 0}, *odd = (uint32_t*)((char*)word + 1), *none = (uint32_t*)16;
  void* gone = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK_ERR(futex_p(odd, FUTEX_WAIT, 1, NULL, NULL, 0), EINVAL);
  CHECK_ERR(futex_p(odd, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL);
  CHECK_ERR(futex_p(none, FUTEX_WAIT, 1, NULL, NULL, 0), EFAULT);
  CHECK_ERR(futex_p(gone, FUTEX_WAIT, 1, NULL, NULL, 0), EFAULT);
  CHECK_ERR(futex_p(word, FUTEX_WAIT, 1, gone, NULL, 0), EFAULT);
  CHECK_ERR(futex_p(word, FUTEX_WAKE_OP, 1, (void*)1L, gone, FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0)), EFAULT);
  CHECK_ERR(futex_p(word, FUTEX_CMP_REQUEUE, 1, (void*)-1L, &word[1], 1), EINVAL);
  CHECK_ERR(futex_p(word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0), EINVAL);
  CHECK_ERR(futex_p(word, 99, 1, NULL, NULL, 0), ENOSYS);
  CHECK_OK(munmap(gone, 4096));
  // A page that nobody may write: the key of a private futex is its address, of another there is none.
  void* fixed = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct timespec moment = {0, 1000000};
  CHECK_ERR(futex_p(fixed, FUTEX_WAIT, 0, &moment, NULL, 0), private_flag ? ETIMEDOUT : EFAULT);
  CHECK_OK(munmap(fixed, 4096));
  return arg;
}

int main(void) {
  for (int i = 0; i < 2; ++i) {
    private_flag = i ? FUTEX_PRIVATE_FLAG : 0;
    check_counts();
    check_requeue();
    check_wake_op();
    check_timeouts(NULL);
    join_thread(start_thread(check_timeouts, NULL));
    check_malformed(NULL);
    join_thread(start_thread(check_malformed, NULL));
  }
  return 0;
}
