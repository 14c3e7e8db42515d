// The races that a scheduler can lose, many times each: wake-ups against waits, time-outs, steals, thread ends, time-outs of I/O, and
// descriptors that are closed and given again. Every wake-up carries a number, and who waits for it checks it: a lost one stands still,
// which main sees; a doubled one, or one that went to somebody else, is a wrong number. A plain POSIX program; scripts/races runs it.
//   races [--total N] [--seconds S] [--seed N] [--only KIND] [--patience S]: ends after N checked wake-ups or S seconds, and prints how many of each.
// Seed 0 is for native runs.
#include "../behaviour/check.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum Kind { kSem, kCond, kQueue, kSemTimed, kCondTimed, kMutexTimed, kSpawn, kIoTimed, kReuse, kReplaced, kKinds };
static const char* const kNames[kKinds] = {"sem",   "cond",     "queue", "sem-timed", "cond-timed", "mutex-timed",
                                           "spawn", "io-timed", "reuse", "replaced"};
enum { kLast = 0 };  // the number that ends a partner; the others begin with 1

static atomic_long g_done[kKinds];
static atomic_bool g_stop;
static uint64_t g_seed;

static bool stopping(void) { return atomic_load_explicit(&g_stop, memory_order_relaxed); }
static void count(enum Kind kind) { atomic_fetch_add_explicit(&g_done[kind], 1, memory_order_relaxed); }

// ---- chance: a generator per thread
typedef struct {
  uint64_t state;
} Random;
static Random random_of(enum Kind kind, int thread) {
  Random r = {(g_seed * 0x9E3779B97F4A7C15u) ^ ((uint64_t)kind << 32 | (uint64_t)thread << 8 | 1)};
  return r;
}
static unsigned below(Random* r, unsigned n) {
  r->state ^= r->state << 13;
  r->state ^= r->state >> 7;
  r->state ^= r->state << 17;
  return (unsigned)(r->state >> 33) % n;
}
// Mostly nothing; else a yield, a little work, or a short sleep.
static void dawdle(Random* r) {
  unsigned what = below(r, 64);
  if (what < 8) {
    sched_yield();
  } else if (what < 16) {
    for (volatile unsigned k = below(r, 4000); k > 0; --k) {
    }
  } else if (what == 16) {
    struct timespec t = {0, (long)below(r, 100000)};
    nanosleep(&t, NULL);
  }
}
static struct timespec soon(clockid_t clock, Random* r, unsigned most_us) {
  struct timespec t;
  clock_gettime(clock, &t);
  t.tv_nsec += (long)below(r, most_us * 1000);
  if (t.tv_nsec >= 1000000000) {
    t.tv_nsec -= 1000000000;
    ++t.tv_sec;
  }
  return t;
}
static void wait_for(sem_t* sem) {
  while (sem_wait(sem) != 0) CHECK_EQ(errno, EINTR);
}

// ---- to and fro through two of something: the first side numbers, the second checks and sends it back
typedef struct Pair Pair;
struct Pair {
  enum Kind kind;
  int index;
  void (*send)(Pair*, int side, uint64_t number);  // to the other side
  uint64_t (*receive)(Pair*, int side, Random* r);
  sem_t sems[2];
  pthread_mutex_t mutex;
  pthread_cond_t conds[2];
  uint64_t slots[2];
  bool full[2];
  int ends[2];
};

static void* first_side(void* arg) {
  Pair* p = arg;
  Random r = random_of(p->kind, 2 * p->index);
  for (uint64_t n = 1; !stopping(); ++n) {
    dawdle(&r);
    p->send(p, 0, n);
    CHECK_EQ(p->receive(p, 0, &r), n);
    count(p->kind);
  }
  p->send(p, 0, kLast);
  return NULL;
}
static void* second_side(void* arg) {
  Pair* p = arg;
  Random r = random_of(p->kind, 2 * p->index + 1);
  for (uint64_t n = 1;; ++n) {
    uint64_t got = p->receive(p, 1, &r);
    if (got == kLast) return NULL;
    CHECK_EQ(got, n);
    count(p->kind);
    dawdle(&r);
    p->send(p, 1, n);
  }
}

static void sem_send(Pair* p, int side, uint64_t number) {
  p->slots[!side] = number;
  CHECK_OK(sem_post(&p->sems[!side]));
}
static uint64_t sem_receive(Pair* p, int side, Random* r) {
  (void)r;
  wait_for(&p->sems[side]);
  return p->slots[side];
}
static uint64_t sem_timed_receive(Pair* p, int side, Random* r) {
  for (;;) {
    struct timespec t = soon(CLOCK_REALTIME, r, 60);
    if (sem_timedwait(&p->sems[side], &t) == 0) break;
    CHECK(errno == ETIMEDOUT || errno == EINTR);
  }
  int left;
  CHECK_OK(sem_getvalue(&p->sems[side], &left));
  CHECK_EQ(left, 0);
  return p->slots[side];
}

static void cond_send(Pair* p, int side, uint64_t number) {
  CHECK_RC(pthread_mutex_lock(&p->mutex), 0);
  CHECK(!p->full[!side]);
  p->slots[!side] = number;
  p->full[!side] = true;
  // The other side waits on one of two: a signal to each of them, or a broadcast.
  CHECK_RC(number % 3 ? pthread_cond_signal(&p->conds[!side]) : pthread_cond_broadcast(&p->conds[!side]), 0);
  CHECK_RC(pthread_mutex_unlock(&p->mutex), 0);
}
static uint64_t cond_take(Pair* p, int side) {
  uint64_t number = p->slots[side];
  p->full[side] = false;
  CHECK_RC(pthread_mutex_unlock(&p->mutex), 0);
  return number;
}
static uint64_t cond_receive(Pair* p, int side, Random* r) {
  (void)r;
  CHECK_RC(pthread_mutex_lock(&p->mutex), 0);
  while (!p->full[side]) CHECK_RC(pthread_cond_wait(&p->conds[side], &p->mutex), 0);
  return cond_take(p, side);
}
static uint64_t cond_timed_receive(Pair* p, int side, Random* r) {
  CHECK_RC(pthread_mutex_lock(&p->mutex), 0);
  while (!p->full[side]) {
    struct timespec t = soon(CLOCK_REALTIME, r, 60);
    int e = pthread_cond_timedwait(&p->conds[side], &p->mutex, &t);
    CHECK(e == 0 || e == ETIMEDOUT);
  }
  return cond_take(p, side);
}

// Number n is there when the slot says so; the mutex is held for a moment at a time, and taken with a deadline.
static void mutex_lock_timed(Pair* p, Random* r) {
  for (;;) {
    struct timespec t = soon(CLOCK_REALTIME, r, 30);
    int e = pthread_mutex_timedlock(&p->mutex, &t);
    if (e == 0) return;
    CHECK_EQ(e, ETIMEDOUT);
  }
}
static void mutex_timed_send(Pair* p, int side, uint64_t number) {
  Random r = {number * 2 + 1};
  mutex_lock_timed(p, &r);
  CHECK(!p->full[!side]);
  p->slots[!side] = number;
  p->full[!side] = true;
  dawdle(&r);
  CHECK_RC(pthread_mutex_unlock(&p->mutex), 0);
}
static uint64_t mutex_timed_receive(Pair* p, int side, Random* r) {
  for (;;) {
    mutex_lock_timed(p, r);
    if (p->full[side]) return cond_take(p, side);
    sched_yield();
    CHECK_RC(pthread_mutex_unlock(&p->mutex), 0);
    sched_yield();
  }
}

static void io_send(Pair* p, int side, uint64_t number) {
  CHECK_EQ(send(p->ends[side], &number, sizeof number, MSG_NOSIGNAL), sizeof number);
}
// Reads whose time is often up when the number comes, in three ways.
static uint64_t io_timed_receive(Pair* p, int side, Random* r) {
  int fd = p->ends[side];
  uint64_t number;
  for (;;) {
    unsigned way = below(r, 8);
    if (way == 0) {
      struct timeval t = {0, 1000 + (long)below(r, 3000)};
      CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
    } else if (way < 6) {
      struct pollfd ready = {.fd = fd, .events = POLLIN};
      struct timespec t = {0, (long)below(r, 60000)};
      int n = ppoll(&ready, 1, &t, NULL);
      CHECK_OK(n);
      if (n == 0) continue;
      CHECK_EQ(ready.revents, POLLIN);
    }
    ssize_t n = recv(fd, &number, sizeof number, way == 1 ? MSG_DONTWAIT : 0);
    if (n == (ssize_t)sizeof number) return number;
    CHECK_EQ(n, -1);
    CHECK(errno == EAGAIN || errno == EINTR);
    CHECK(way != 1);  // poll had said that it is there
  }
}

// ---- many takers of a queue that work for a while: threads lie in run queues and are stolen from there
enum { kRoom = 64, kProducers = 4, kConsumers = 6 };
static struct {
  pthread_mutex_t mutex;
  pthread_cond_t filled;
  sem_t room;
  uint64_t items[kRoom], next, put, got;
  _Atomic uint64_t alive[kRoom * 4];  // numbers that were made and not yet consumed
  int producers;
} g_queue = {.mutex = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER, .producers = kProducers};

static void* produce(void* arg) {
  Random r = random_of(kQueue, (int)(long)arg);
  while (!stopping()) {
    wait_for(&g_queue.room);
    CHECK_RC(pthread_mutex_lock(&g_queue.mutex), 0);
    uint64_t n = ++g_queue.next;
    CHECK_EQ(atomic_exchange(&g_queue.alive[n % (kRoom * 4)], n), 0);
    g_queue.items[g_queue.put++ % kRoom] = n;
    CHECK_RC(pthread_cond_signal(&g_queue.filled), 0);
    CHECK_RC(pthread_mutex_unlock(&g_queue.mutex), 0);
    dawdle(&r);
  }
  CHECK_RC(pthread_mutex_lock(&g_queue.mutex), 0);
  if (--g_queue.producers == 0) CHECK_RC(pthread_cond_broadcast(&g_queue.filled), 0);
  CHECK_RC(pthread_mutex_unlock(&g_queue.mutex), 0);
  return NULL;
}
static void* consume(void* arg) {
  Random r = random_of(kQueue, 100 + (int)(long)arg);
  for (;;) {
    CHECK_RC(pthread_mutex_lock(&g_queue.mutex), 0);
    while (g_queue.got == g_queue.put && g_queue.producers) CHECK_RC(pthread_cond_wait(&g_queue.filled, &g_queue.mutex), 0);
    if (g_queue.got == g_queue.put) break;
    uint64_t n = g_queue.items[g_queue.got++ % kRoom];
    CHECK_EQ(n, g_queue.got);
    // Still under the lock: room for the next lap of `alive` is made in the order of the numbers.
    CHECK_EQ(atomic_exchange(&g_queue.alive[n % (kRoom * 4)], 0), n);
    CHECK_RC(pthread_mutex_unlock(&g_queue.mutex), 0);
    CHECK_OK(sem_post(&g_queue.room));
    count(kQueue);
    for (volatile unsigned k = below(&r, 3000); k > 0; --k) {
    }
    dawdle(&r);
  }
  CHECK_RC(pthread_mutex_unlock(&g_queue.mutex), 0);
  return NULL;
}

// ---- threads that end while they are joined
static void* give_back(void* arg) {
  Random r = {(uint64_t)(uintptr_t)arg | 1};
  dawdle(&r);
  return arg;
}
static void* spawn(void* arg) {
  Random r = random_of(kSpawn, (int)(long)arg);
  for (uintptr_t n = 1; !stopping(); ++n) {
    pthread_t thread = start_thread_with_stack(64 << 10, give_back, (void*)n);
    dawdle(&r);
    CHECK_EQ((uintptr_t)join_thread(thread), n);
    count(kSpawn);
  }
  return NULL;
}

// ---- a descriptor's number is given again at once, now blocking, now O_NONBLOCK, to whoever opens next
enum { kReusers = 6 };
typedef struct {
  sem_t there, back;
  int end;
  bool nonblocking;
  uint64_t number;
  int index;
} Reuser;
static Reuser g_reusers[kReusers];

static void* reuse_read(void* arg) {
  Reuser* u = arg;
  for (uint64_t n = 1;; ++n) {
    wait_for(&u->there);
    if (u->number == kLast) return NULL;
    CHECK_EQ(u->number, n);
    uint64_t got = 0;
    ssize_t k;
    while ((k = read(u->end, &got, sizeof got)) < 0) {
      CHECK_EQ(errno, EAGAIN);
      CHECK(u->nonblocking);
      struct pollfd ready = {.fd = u->end, .events = POLLIN};
      CHECK_EQ(poll(&ready, 1, -1), 1);
    }
    CHECK_EQ(k, sizeof got);
    CHECK_EQ(got, n);
    while ((k = read(u->end, &got, sizeof got)) < 0) {
      CHECK_EQ(errno, EAGAIN);
      CHECK(u->nonblocking);
      sched_yield();
    }
    CHECK_EQ(k, 0);  // the end, and nobody else's bytes
    CHECK_OK(close(u->end));
    count(kReuse);
    CHECK_OK(sem_post(&u->back));
  }
}
static void* reuse_write(void* arg) {
  Reuser* u = arg;
  Random r = random_of(kReuse, u->index);
  for (uint64_t n = 1; !stopping(); ++n) {
    int ends[2];
    u->nonblocking = below(&r, 2);
    if (below(&r, 2)) CHECK_OK(pipe2(ends, u->nonblocking ? O_NONBLOCK : 0));
    else CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | (u->nonblocking ? SOCK_NONBLOCK : 0), 0, ends));
    u->end = ends[0];
    u->number = n;
    CHECK_OK(sem_post(&u->there));
    dawdle(&r);
    CHECK_EQ(write(ends[1], &n, sizeof n), sizeof n);
    dawdle(&r);
    CHECK_OK(close(ends[1]));
    wait_for(&u->back);
  }
  u->number = kLast;
  CHECK_OK(sem_post(&u->there));
  return NULL;
}

// ---- a descriptor is replaced by dup2 under somebody who waits on it, or is about to: the wait goes on with the old file, or begins with
// the new one. The old one's other end says which: EPIPE, nobody waits there; the end of file after it was read; or ECONNRESET, it ended
// with the number unread (g_dropped). Under the shim that is a read that looked at a file, found nothing and lost the descriptor before it waited.
// Natively it is one that took the old file from the table, saw the number changed and waits on the new file: its reference to the old one, the last,
// is given back when it returns to user mode (fput), so till then the old file neither ends nor is read by anybody. Hence natively the new file
// gets kLookAgain behind each number that the old one took. Under the shim nobody may keep a file so.
enum { kReplacers = 3 };
static const uint64_t kLookAgain = UINT64_MAX;
static atomic_long g_dropped;
typedef struct {
  sem_t back;
  int fd;
  int index;
} Replaced;
static Replaced g_replaced[kReplacers];

static void* replaced_read(void* arg) {
  Replaced* p = arg;
  for (uint64_t n = 1;;) {
    uint64_t got;
    CHECK_EQ(read(p->fd, &got, sizeof got), sizeof got);
    if (got == kLast) return NULL;
    if (got == kLookAgain) continue;
    CHECK_EQ(got, n++);
    count(kReplaced);
    CHECK_OK(sem_post(&p->back));
  }
}
static void* replaced_write(void* arg) {
  Replaced* p = arg;
  Random r = random_of(kReplaced, p->index);
  int old[2], fresh[2];
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, old));
  p->fd = old[0];
  pthread_t reader = start_thread(replaced_read, p);
  for (uint64_t n = 1;; ++n) {
    bool last = stopping();
    uint64_t number = last ? kLast : n;
    dawdle(&r);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fresh));
    CHECK_OK(dup2(fresh[0], p->fd));
    CHECK_OK(close(fresh[0]));
    if (below(&r, 2)) dawdle(&r);
    ssize_t k = send(old[1], &number, sizeof number, MSG_NOSIGNAL);
    bool taken = k >= 0;
    if (taken) {
      char nothing;
      CHECK_EQ(k, sizeof number);
      if (g_seed == 0) CHECK_EQ(send(fresh[1], &kLookAgain, sizeof kLookAgain, MSG_NOSIGNAL), sizeof kLookAgain);
      if (recv(old[1], &nothing, 1, 0) != 0) {
        CHECK_EQ(errno, ECONNRESET);
        atomic_fetch_add(&g_dropped, 1);
        taken = false;
      }
    } else {
      CHECK_EQ(errno, EPIPE);
    }
    if (!taken) CHECK_EQ(send(fresh[1], &number, sizeof number, MSG_NOSIGNAL), sizeof number);
    if (last) break;
    wait_for(&p->back);
    CHECK_OK(close(old[1]));
    old[1] = fresh[1];
  }
  join_thread(reader);
  return NULL;
}

// ---- all of it
enum { kMost = 256, kMaxPairs = 8 };
static struct {
  pthread_t thread;
  enum Kind kind;
} g_threads[kMost];
static int g_count;
static void start(enum Kind kind, void* (*run)(void*), void* arg) {
  CHECK(g_count < kMost);
  g_threads[g_count].kind = kind;
  g_threads[g_count++].thread = start_thread_with_stack(128 << 10, run, arg);
}

static void start_pairs(enum Kind kind, int pairs, void (*send)(Pair*, int, uint64_t), uint64_t (*receive)(Pair*, int, Random*)) {
  static Pair all[kKinds][kMaxPairs];
  for (int i = 0; i < pairs; ++i) {
    Pair* p = &all[kind][i];
    *p = (Pair){.kind = kind, .index = i, .send = send, .receive = receive, .mutex = PTHREAD_MUTEX_INITIALIZER};
    for (int side = 0; side < 2; ++side) {
      CHECK_OK(sem_init(&p->sems[side], 0, 0));
      CHECK_RC(pthread_cond_init(&p->conds[side], NULL), 0);
    }
    if (kind == kIoTimed) CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, p->ends));
    start(kind, first_side, p);
    start(kind, second_side, p);
  }
}
static void start_kind(enum Kind kind) {
  switch (kind) {
    case kSem: start_pairs(kind, 6, sem_send, sem_receive); break;
    case kCond: start_pairs(kind, 6, cond_send, cond_receive); break;
    case kSemTimed: start_pairs(kind, 6, sem_send, sem_timed_receive); break;
    case kCondTimed: start_pairs(kind, 6, cond_send, cond_timed_receive); break;
    case kMutexTimed: start_pairs(kind, 3, mutex_timed_send, mutex_timed_receive); break;
    case kIoTimed: start_pairs(kind, 8, io_send, io_timed_receive); break;
    case kQueue:
      CHECK_OK(sem_init(&g_queue.room, 0, kRoom));
      for (long i = 0; i < kProducers; ++i) start(kind, produce, (void*)i);
      for (long i = 0; i < kConsumers; ++i) start(kind, consume, (void*)i);
      break;
    case kSpawn:
      for (long i = 0; i < 3; ++i) start(kind, spawn, (void*)i);
      break;
    case kReuse:
      for (int i = 0; i < kReusers; ++i) {
        Reuser* u = &g_reusers[i];
        u->index = i;
        CHECK_OK(sem_init(&u->there, 0, 0));
        CHECK_OK(sem_init(&u->back, 0, 0));
        start(kind, reuse_read, u);
        start(kind, reuse_write, u);
      }
      break;
    case kReplaced:
      for (int i = 0; i < kReplacers; ++i) {
        g_replaced[i].index = i;
        CHECK_OK(sem_init(&g_replaced[i].back, 0, 0));
        start(kind, replaced_write, &g_replaced[i]);
      }
      break;
    case kKinds: break;
  }
}

static void print_counts(FILE* to) {
  for (int k = 0; k < kKinds; ++k) fprintf(to, "%s %ld ", kNames[k], atomic_load(&g_done[k]));
  fprintf(to, "dropped %ld\n", atomic_load(&g_dropped));
}

int main(int argc, char** argv) {
  long total = LONG_MAX, seconds = LONG_MAX / 1000, patience = 30;
  const char* only = NULL;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!strcmp(argv[i], "--total")) total = atol(argv[i + 1]);
    else if (!strcmp(argv[i], "--seconds")) seconds = atol(argv[i + 1]);
    else if (!strcmp(argv[i], "--seed")) g_seed = (uint64_t)atol(argv[i + 1]);
    else if (!strcmp(argv[i], "--only")) only = argv[i + 1];
    else if (!strcmp(argv[i], "--patience")) patience = atol(argv[i + 1]);
  }
  int chosen = 0;
  for (int k = 0; k < kKinds; ++k) {
    if (only && strcmp(only, kNames[k])) continue;
    start_kind((enum Kind)k);
    ++chosen;
  }
  CHECK(chosen > 0);
  // Each kind must advance, however many the others make. Until the end: threads then wait for a last number.
  long long begun = now_ms(), moved[kKinds];
  long seen[kKinds] = {0};
  for (int k = 0; k < kKinds; ++k) moved[k] = begun;
  for (;;) {
    sleep_ms(20);
    long sum = 0;
    for (int k = 0; k < kKinds; ++k) {
      long now = atomic_load(&g_done[k]);
      sum += now;
      if (now != seen[k] || (only && strcmp(only, kNames[k]))) moved[k] = now_ms();
      seen[k] = now;
      if (now_ms() - moved[k] < patience * 1000) continue;
      fprintf(stderr, "races: %s has stood still for %ld s: a wake-up is lost. So far: ", kNames[k], patience);
      print_counts(stderr);
      _exit(1);
    }
    if (sum >= total || now_ms() - begun >= seconds * 1000) break;
  }
  atomic_store(&g_stop, true);
  for (int i = 0; i < g_count; ++i) {
    struct timespec t = deadline_after_ms(CLOCK_REALTIME, patience * 1000);
    int e = pthread_timedjoin_np(g_threads[i].thread, NULL, &t);
    if (e != 0) {
      fprintf(stderr, "races: a thread of %s doesn't end (%s): a wake-up is lost. So far: ", kNames[g_threads[i].kind], strerror(e));
      print_counts(stderr);
      _exit(1);
    }
  }
  CHECK_EQ(g_queue.got, g_queue.put);
  print_counts(stdout);
  return 0;
}
