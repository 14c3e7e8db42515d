// How fuzz.c draws arguments: each function here is one that fuzz.def names. The descriptors, objects and memory that they may name, too.
#pragma once

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/fsuid.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static struct Shared { volatile long current; } * shared;
#define MUST(x) do { if (!(x)) { fprintf(stderr, "fuzz: %s failed (errno %d), call %ld\n", #x, errno, shared ? shared->current : -1); _exit(99); } } while (0)
enum { kBatch = 400, kMaxArgs = 7 };
static double patience = 60;  // s without a call's end

// ---------------------------------------------------------------- the draw

static uint64_t state;
static uint64_t draw(void) {
  uint64_t z = (state += 0x9e3779b97f4a7c15ull);
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ z >> 27) * 0x94d049bb133111ebull;
  return z ^ z >> 31;
}
static int below(int n) { return (int)(draw() % (uint64_t)n); }
static int in(int n) { return below(n) == 0; }  // one time in n
#define PICK(...) ((const long[]){__VA_ARGS__}[below((int)(sizeof((const long[]){__VA_ARGS__}) / sizeof(long)))])

// ---------------------------------------------------------------- memory: at fixed addresses, so that arguments print the same

enum { kPage = 4096, kBufPages = 1, kSlotBytes = 1 << 17 };
static char* const kArena = (char*)0x200000000;
static char *buf, *no_access, *read_only, *slots, *next_slot;
static void* const kKernel = (void*)0xffff800000000000;

static void make_arena(void) {
  buf = mmap(kArena, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  MUST(buf == kArena);
  MUST(mprotect(buf, kPage, PROT_READ | PROT_WRITE) == 0);
  no_access = buf + kPage;
  read_only = buf + 8 * kPage;
  MUST(mprotect(read_only, kPage, PROT_READ) == 0);
  slots = buf + 16 * kPage;
  MUST(mprotect(slots, kSlotBytes, PROT_READ | PROT_WRITE) == 0);
}
static void fresh_arena(void) {
  for (int i = 0; i < kPage; ++i) buf[i] = (char)(i * 7 + i / 256);
  memset(slots, 0, next_slot ? (size_t)(next_slot - slots) : kSlotBytes);
  next_slot = slots;
}
static void* slot(size_t size) {
  char* p = next_slot;
  next_slot += (size + 63) & ~63ul;
  return p;
}
static void* wrong(void) {
  switch (below(6)) {
    case 0: return NULL;
    case 1: return (void*)8;
    case 2: return no_access;
    case 3: return kKernel;
    case 4: return (void*)-1;
    default: return read_only;
  }
}
// For what the kernel reads: wrong one time in 8. For what libc itself may touch: one time in 150.
static long k(void* p) { return (long)(in(8) ? wrong() : p); }
static long u(void* p) { return (long)(in(150) ? (void*[]){NULL, (void*)8, no_access, kKernel, (void*)-1}[below(5)] : p); }

// ---------------------------------------------------------------- descriptors, all by fixed numbers

enum {
  kPipeR = 100, kPipeW, kSockA, kSockB, kZero, kNull, kFile, kReadOnly, kWriteOnly, kDir, kPath, kEmptyR, kEmptyW, kFullW, kEofR, kBrokenW, kNbSock,
  kTimedSock, kDead, kListen, kListen2, kTcp, kUdp, kUdp2, kEvent, kTimer, kEpoll, kDgram, kMem, kFuse, kLast, kVictim = 200
};
static void put(int fd, int at) {
  MUST(fd >= 0 && dup2(fd, at) == at);
  close(fd);
}
static void put2(int* fds, int a, int b) {
  put(fds[0], a);
  put(fds[1], b);
}
static void make_pair(void) {
  struct timeval soon = {0, 1000};
  int p[2];
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
  put2(p, kSockA, kSockB);
  for (int fd = kSockA; fd <= kSockB; ++fd) MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon) == 0);
}
static char folder[64];
static struct sockaddr_in listening, udp_at;

static void make_descriptors(void) {
  int p[2];
  struct timeval soon = {0, 1000};
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof any;
  char name[128];
  MUST(pipe(p) == 0); put2(p, kPipeR, kPipeW);
  make_pair();
  put(open("/dev/zero", O_RDWR), kZero);
  put(open("/dev/null", O_RDWR), kNull);
  snprintf(name, sizeof name, "%s/file", folder);
  put(open(name, O_RDWR | O_CREAT, 0600), kFile);
  put(open(name, O_RDONLY), kReadOnly);
  put(open(name, O_WRONLY), kWriteOnly);
  put(open(folder, O_RDONLY | O_DIRECTORY), kDir);
  put(open(name, O_PATH), kPath);
  MUST(pipe2(p, O_NONBLOCK) == 0); put2(p, kEmptyR, kEmptyW);
  MUST(pipe2(p, O_NONBLOCK) == 0);
  MUST(fcntl(p[1], F_SETPIPE_SZ, 4096) == 4096 && write(p[1], buf, 4096) == 4096);
  put(p[1], kFullW);  // the other end stays open, somewhere low
  MUST(pipe(p) == 0); put(p[0], kEofR); close(p[1]);
  MUST(pipe(p) == 0); put(p[1], kBrokenW); close(p[0]);
  MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p) == 0); put(p[0], kNbSock);
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0); put(p[0], kTimedSock);
  MUST(setsockopt(kTimedSock, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon) == 0);
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0); put(p[0], kDead); close(p[1]);
  put(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), kListen);
  MUST(bind(kListen, (struct sockaddr*)&any, size) == 0 && listen(kListen, 5) == 0);
  size = sizeof listening;
  MUST(getsockname(kListen, (struct sockaddr*)&listening, &size) == 0);
  put(socket(AF_INET, SOCK_STREAM, 0), kListen2);
  MUST(bind(kListen2, (struct sockaddr*)&any, sizeof any) == 0 && listen(kListen2, 5) == 0);
  MUST(setsockopt(kListen2, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon) == 0);
  put(socket(AF_INET, SOCK_STREAM, 0), kTcp);
  for (int fd = kUdp; fd <= kUdp2; ++fd) {
    put(socket(AF_INET, SOCK_DGRAM, 0), fd);
    MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon) == 0);
  }
  MUST(bind(kUdp2, (struct sockaddr*)&any, sizeof any) == 0);
  size = sizeof udp_at;
  MUST(getsockname(kUdp2, (struct sockaddr*)&udp_at, &size) == 0);
  put(eventfd(3, EFD_NONBLOCK), kEvent);
  put(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), kTimer);
  put(epoll_create1(0), kEpoll);
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = 1234567};
  MUST(epoll_ctl(kEpoll, EPOLL_CTL_ADD, kDead, &event) == 0);
  MUST(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, p) == 0); put(p[0], kDgram);
  put(memfd_create("fuzz", 0), kMem);
  MUST(write(kMem, buf, 2000) == 2000);
  put(open("/proc/self/limits", O_RDONLY), kFuse);
}

static bool printing;  // the arguments are drawn once more, in the parent
static void drain(int fd) {
  char some[8192];
  int flags = fcntl(fd, F_GETFL);
  struct pollfd one = {fd, POLLIN, 0};
  while (!(flags & O_NONBLOCK) && poll(&one, 1, 0) == 1 && (one.revents & POLLIN) && syscall(SYS_read, fd, some, sizeof some) > 0) {}
}
// Those that a call may read from or write to: 64 bytes in each, or none on the next but one.
static void refresh(int fd) {
  if (printing) return;
  switch (fd) {
    case kPipeR: case kPipeW: drain(kPipeR); MUST(write(kPipeW, buf, 64) == 64); break;
    case kSockA: case kSockB:
      for (int s = kSockA; s <= kSockB; ++s) drain(s);
      if (write(kSockA, buf, 64) == 64 && write(kSockB, buf, 64) == 64) break;
      make_pair();  // full of urgent bytes, which drain() doesn't see
      for (int s = kSockA; s <= kSockB; ++s) MUST(write(s, buf, 64) == 64);
      break;
    case kFile: case kReadOnly: case kWriteOnly: case kMem:
      if (fd != kMem) { MUST(ftruncate(kFile, 0) == 0); MUST(pwrite(kFile, buf, 3000, 0) == 3000); }
      lseek(fd, 10, SEEK_SET);
      break;
    case kZero: case kNull: case kDir: case kFuse: lseek(fd, 0, SEEK_SET); break;
    case kEmptyW: drain(kEmptyW); break;
    case kUdp2: drain(kUdp2); break;
    default: break;
  }
}
static long fd(void) {
  if (in(8)) return PICK(-1, 777, 1 << 20, INT32_MAX, INT32_MIN, 99);
  int n = kPipeR + below(kLast - kPipeR);
  if ((n == kTimedSock || n == kListen2 || n == kUdp || n == kUdp2) && !in(4)) n = kSockA;  // those wait some milliseconds
  refresh(n);
  return n;
}
static long fd_connect(void) { return in(6) ? (long)PICK(-1, 777) : PICK(kPipeR, kZero, kDir, kNbSock, kSockA, kDead, kListen, kUdp, kDgram, kPath); }
static long fd_new(void) {  // what the call may close, or make something else of
  if (in(4)) return PICK(-1, 1 << 20, INT32_MAX, INT32_MIN);
  int n = kVictim + below(4);
  int of = (int)PICK(kPipeR, kZero, kFile, kDead, kEpoll);
  if (!printing) dup2(of, n);
  return n;
}

// ---------------------------------------------------------------- sizes, flags, vectors, addresses

static long size(void) { return PICK(0, 1, 7, 63, 64, 65, 1000, 4096, 4096, 4097, 1 << 20, 0x7ffff000, 0x80000000l, -1, INT64_MIN); }
static long small(void) { return PICK(0, 1, 7, 63, 64, 65, 1000, 4096); }
static long buffer(void) { return in(6) ? (long)(buf + kPage - 8) : k(buf); }
static long offset(void) { return PICK(0, 0, 1, 10, 2990, 3000, 100000, -1, -2, INT64_MAX, INT64_MIN, 1l << 40); }
static long number(void) { return PICK(0, 1, 2, 3, -1, 7, 64, 65, 1000, INT32_MAX, INT32_MIN, 0x10001); }
static long flags_or(const long* some, int n) {
  if (in(5)) return (long)(int)draw();
  long f = 0;
  for (int i = below(3); i > 0; --i) f |= some[below(n)];
  return f;
}
#define FLAGS(...) flags_or((const long[]){__VA_ARGS__}, (int)(sizeof((const long[]){__VA_ARGS__}) / sizeof(long)))
static long msg_flags(void) {
  return FLAGS(MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL, MSG_TRUNC, MSG_OOB, MSG_NOSIGNAL, MSG_CTRUNC, MSG_ERRQUEUE, MSG_MORE, MSG_DONTROUTE, MSG_EOR, MSG_CMSG_CLOEXEC);
}
static long rwf(void) { return in(4) ? (long)(int)draw() : PICK(0, 0, 8 /* RWF_NOWAIT */, 1 /* HIPRI */, 2 /* DSYNC */, 16 /* APPEND */); }
static long vector(void) {
  struct iovec* v = slot(sizeof *v * 8);
  for (int i = 0; i < 8; ++i)
    v[i] = (struct iovec){in(12) ? wrong() : buf + below(4) * 512, (size_t)(in(20) ? size() : below(200))};
  return k(v);
}
static long vectors(void) { return PICK(0, 1, 1, 2, 3, 8, -1, 1024, 1025, INT32_MAX, INT32_MIN); }
static long address(void) {
  switch (below(6)) {
    case 0: { struct sockaddr_in* a = slot(64); *a = listening; return (long)a; }
    case 1: { struct sockaddr_in* a = slot(64); *a = udp_at; return (long)a; }
    case 2: { struct sockaddr_un* a = slot(128); a->sun_family = AF_UNIX; strcpy(a->sun_path, "/proc/none/socket"); return (long)a; }
    case 3: { struct sockaddr* a = slot(64); a->sa_family = (sa_family_t)draw(); return (long)a; }
    default: return (long)wrong();
  }
}
static long address_size(void) { return PICK(0, 2, 15, 16, 16, 16, 110, 128, 129, -1); }
static long room(void) { void* p = slot(256); return (long)(in(2) ? NULL : in(8) ? wrong() : p); }
static long room_size(void) { socklen_t* s = slot(8); *s = (socklen_t)PICK(0, 16, 128, -1, 1 << 30); return (long)(in(3) ? NULL : in(8) ? wrong() : s); }
static long message(void) {
  struct msghdr* m = slot(sizeof *m);
  m->msg_iov = (struct iovec*)vector();
  m->msg_iovlen = (size_t)(in(6) ? vectors() : below(4));
  if (in(3)) m->msg_name = (void*)address(), m->msg_namelen = (socklen_t)address_size();
  if (in(5)) m->msg_control = (void*)k(slot(256)), m->msg_controllen = (size_t)PICK(0, 8, 16, 64, 256);
  m->msg_flags = (int)draw();
  return k(m);
}
static long offset_room(void) { off_t* o = slot(8); *o = offset(); return in(3) ? 0 : k(o); }
static long buffer_u(void) { return u(buf); }
static long address_u(void) { long a = address(); return (char*)a >= slots && (char*)a < slots + kSlotBytes ? a : 0; }
static long path_u(void) { return u((void*)(long[]){(long)"", (long)"/proc/none", (long)"/proc/none/x", (long)"/", (long)"/dev/null/x"}[below(5)]); }
static long path(void) { return k((void*)(long[]){(long)"", (long)"/proc/none", (long)"/proc/none/x", (long)"/", (long)"/dev/null/x"}[below(5)]); }

// ---------------------------------------------------------------- times, readiness

static long nanoseconds(struct timespec* t) {
  switch (below(6)) {
    case 0: *t = (struct timespec){0, 300000}; break;
    case 1: *t = (struct timespec){-1, 0}; break;
    case 2: *t = (struct timespec){0, 1000000000}; break;
    case 3: *t = (struct timespec){0, -1}; break;
    case 4: *t = (struct timespec){INT64_MIN, 5}; break;
    default: *t = (struct timespec){0, 0};
  }
  return (long)t;
}
static long must_wrong(void* p) { return (long)(in(8) ? (long[]){8, (long)no_access, (long)kKernel, -1}[below(4)] : (long)p); }
static long span(void) { return must_wrong((void*)nanoseconds(slot(16))); }  // never null, which waits for ever
static long span_k(void) { return k((void*)nanoseconds(slot(16))); }
static long span_u(void) { return in(150) ? 8 : nanoseconds(slot(16)); }
static long span_any(void) { void* t = (void*)nanoseconds(slot(16)); return (long)(in(8) ? (void*)8 : t); }
static long micro(void) {
  struct timeval* t = slot(16);
  *t = (struct timeval[]){{0, 0}, {0, 200}, {-1, 0}, {0, -1}, {0, 1200000}, {0, 0}}[in(20) ? 4 : below(4)];
  return must_wrong(t);
}
static long milli(void) { return PICK(0, 0, 0, 1); }
static long deadline(clockid_t clock) {
  struct timespec* t = slot(16);
  switch (below(7)) {
    case 0: *t = (struct timespec){1, 0}; break;
    case 1: *t = (struct timespec){-1, 0}; break;
    case 2: *t = (struct timespec){0, 1000000000}; break;
    case 3: *t = (struct timespec){1l << 40, -1}; break;
    case 4: *t = (struct timespec){0, 0}; break;
    default:
      clock_gettime(clock, t);
      if ((t->tv_nsec += 300000) > 999999999) ++t->tv_sec, t->tv_nsec -= 1000000000;
  }
  return in(150) ? 8 : (long)t;
}
// glibc's joins spin for ever on nanoseconds that are none.
static long until_valid(void) {
  struct timespec* t = slot(16);
  if (in(3)) *t = (struct timespec){in(2) ? 1 : -1, 0};
  else clock_gettime(CLOCK_REALTIME, t);
  return (long)t;
}
static long until(void) { return deadline(CLOCK_REALTIME); }
static long until_mono(void) { return deadline(CLOCK_MONOTONIC); }
static long clock_real(void) { return PICK(CLOCK_REALTIME, CLOCK_REALTIME, CLOCK_BOOTTIME, -1, 99); }
static long clock_of(void) { return PICK(CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC_RAW, CLOCK_THREAD_CPUTIME_ID, -1, 99); }
static long polled(void) {
  struct pollfd* p = slot(sizeof *p * 64);
  for (int i = 0; i < 4; ++i) p[i] = (struct pollfd){(int)fd(), (short)(in(4) ? (short)draw() : FLAGS(POLLIN, POLLOUT, POLLPRI, POLLRDHUP)), 0x55};
  return must_wrong(p);
}
static long polled_few(void) { return PICK(0, 1, 2, 4); }
static long polled_count(void) { return PICK(0, 1, 2, 4, 4, 1 << 25, INT32_MIN); }
static long set_of_fds(void) {
  unsigned char* s = slot(16384);
  for (int i = below(4); i > 0; --i) {
    int n = kPipeR + below(in(8) ? 150 : kLast - kPipeR);
    s[n / 8] = (unsigned char)(s[n / 8] | 1 << n % 8);
    refresh(n);
  }
  return (long)(in(3) ? NULL : in(12) ? wrong() : s);
}
static long fd_count(void) { return PICK(0, 1, kLast, kLast, 200, 256, 1024, -1, 70000); }
static long events(void) { return k(slot(sizeof(struct epoll_event) * 16)); }
static long event_count(void) { return PICK(1, 4, 16, 0, -1, INT32_MAX); }
static long kernel_set_size(void) { return PICK(8, 8, 8, 0, 16, 128, -1); }
static long kernel_set_pair(void) {
  long* p = slot(16);
  p[0] = in(3) ? 0 : k(slot(8));
  p[1] = kernel_set_size();
  return in(3) ? 0 : k(p);
}
static long signal_set(void) { sigset_t* s = slot(sizeof *s); sigaddset(s, (int)PICK(SIGUSR1, SIGUSR2, SIGRTMIN + 3)); return in(4) ? 0 : u(s); }
static long sigset_k(void) { sigset_t* s = slot(sizeof *s); sigaddset(s, (int)PICK(SIGUSR1, SIGUSR2, SIGRTMIN + 3)); return in(4) ? 0 : k(s); }
static long sigset_out(void) { return in(3) ? 0 : u(slot(sizeof(sigset_t))); }
static long sigset_wrong(void) { return (long[]){8, (long)no_access, (long)kKernel}[below(3)]; }
static long signal_number(void) { return PICK(0, SIGUSR2, 65, -1, 1000, 32, 33, SIGUSR2, SIGURG); }
static long handler_or_hold(void) { return PICK((long)SIG_IGN, (long)SIG_HOLD); }
static long handler(void) { return PICK((long)SIG_IGN, (long)SIG_ERR); }

// ---------------------------------------------------------------- threads' objects: a copy of a model in each call

enum { kNormal, kRecursive, kMyRecursive, kErrorCheck, kMyErrorCheck, kAdaptive, kShared, kRobust, kInherit, kProtect, kHisNormal, kHisRecursive, kHisErrorCheck, kHisAdaptive, kMutexes };
enum { kRw, kRwWriters, kRwShared, kRwHisRead, kRwMine, kRwHis, kRwWritersHisRead, kRwLocks };
static pthread_mutex_t mutex_models[kMutexes], *mutex_used;
static pthread_rwlock_t rw_models[kRwLocks];
static pthread_cond_t cond_models[3];
static sem_t sem_models[4];
static pthread_barrier_t barrier_model;
static pthread_t peer, detached_thread, self;
static sem_t peer_ready, peer_go;
static pthread_key_t key_of_test;

static void* be_peer(void* arg) {
  const int his[] = {kHisNormal, kHisRecursive, kHisErrorCheck, kHisAdaptive};
  for (int i = 0; i < 4; ++i) MUST(pthread_mutex_lock(&mutex_models[his[i]]) == 0);
  MUST(pthread_rwlock_rdlock(&rw_models[kRwHisRead]) == 0 && pthread_rwlock_rdlock(&rw_models[kRwWritersHisRead]) == 0);
  MUST(pthread_rwlock_wrlock(&rw_models[kRwHis]) == 0);
  sem_post(&peer_ready);
  while (sem_wait(&peer_go) != 0) {}
  return arg;
}
static void* be_asleep(void* arg) {
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
  for (;;) sem_wait(&peer_go);
  return arg;
}
static void* nothing(void* arg) { return arg; }

static void make_objects(void) {
  const int kinds[kMutexes] = {[kRecursive] = PTHREAD_MUTEX_RECURSIVE, [kMyRecursive] = PTHREAD_MUTEX_RECURSIVE, [kHisRecursive] = PTHREAD_MUTEX_RECURSIVE,
                               [kErrorCheck] = PTHREAD_MUTEX_ERRORCHECK, [kMyErrorCheck] = PTHREAD_MUTEX_ERRORCHECK, [kHisErrorCheck] = PTHREAD_MUTEX_ERRORCHECK,
                               [kAdaptive] = PTHREAD_MUTEX_ADAPTIVE_NP, [kHisAdaptive] = PTHREAD_MUTEX_ADAPTIVE_NP};
  for (int i = 0; i < kMutexes; ++i) {
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_settype(&a, kinds[i]);
    if (i == kShared) pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    if (i == kRobust) pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    if (i == kInherit) pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
    if (i == kProtect) pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_PROTECT);
    MUST(pthread_mutex_init(&mutex_models[i], &a) == 0);
  }
  for (int i = 0; i < kRwLocks; ++i) {
    pthread_rwlockattr_t a;
    pthread_rwlockattr_init(&a);
    if (i == kRwWriters || i == kRwWritersHisRead) pthread_rwlockattr_setkind_np(&a, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    if (i == kRwShared) pthread_rwlockattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    MUST(pthread_rwlock_init(&rw_models[i], &a) == 0);
  }
  for (int i = 0; i < 3; ++i) {
    pthread_condattr_t a;
    pthread_condattr_init(&a);
    if (i == 1) pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    if (i == 2) pthread_condattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    MUST(pthread_cond_init(&cond_models[i], &a) == 0);
  }
  MUST(sem_init(&sem_models[0], 0, 0) == 0 && sem_init(&sem_models[1], 0, 5) == 0);
  MUST(sem_init(&sem_models[2], 0, SEM_VALUE_MAX) == 0 && sem_init(&sem_models[3], 1, 1) == 0);
  MUST(pthread_barrier_init(&barrier_model, NULL, 1) == 0);
  MUST(sem_init(&peer_ready, 0, 0) == 0 && sem_init(&peer_go, 0, 0) == 0);
  MUST(pthread_key_create(&key_of_test, NULL) == 0);
  MUST(pthread_create(&peer, NULL, be_peer, NULL) == 0);
  while (sem_wait(&peer_ready) != 0) {}
  MUST(pthread_create(&detached_thread, NULL, be_asleep, NULL) == 0 && pthread_detach(detached_thread) == 0);
}
static void hold_mine(void) {
  self = pthread_self();
  MUST(pthread_mutex_lock(&mutex_models[kMyRecursive]) == 0 && pthread_mutex_lock(&mutex_models[kMyErrorCheck]) == 0);
  MUST(pthread_rwlock_wrlock(&rw_models[kRwMine]) == 0);
}
static long copy(const void* model, size_t size) { return u(memcpy(slot(size), model, size)); }
static long mutex_copy(int n) {
  mutex_used = memcpy(slot(sizeof *mutex_used), &mutex_models[n], sizeof *mutex_used);
  return u(mutex_used);
}
static long mutex_free(void) { return mutex_copy((int)PICK(kNormal, kRecursive, kMyRecursive, kErrorCheck, kMyErrorCheck, kAdaptive, kShared, kRobust, kInherit, kProtect)); }
static long mutex_any(void) { return mutex_copy(below(kMutexes)); }
static long mutex_owned(void) { return mutex_copy((int)PICK(kRecursive, kMyRecursive, kErrorCheck, kMyErrorCheck, kRobust, kInherit, kHisRecursive, kHisErrorCheck)); }
static long mutex_mine(void) { return mutex_copy((int)PICK(kMyRecursive, kMyErrorCheck, kErrorCheck, kHisErrorCheck)); }
static long mutex_not_mine(void) { return mutex_copy((int)PICK(kErrorCheck, kHisErrorCheck)); }
static long mtx_free(void) { return mutex_copy((int)PICK(kNormal, kRecursive, kMyRecursive)); }
static long mtx_any(void) { return mutex_copy((int)PICK(kNormal, kRecursive, kMyRecursive, kHisNormal, kHisRecursive)); }
static long cond(void) { return copy(&cond_models[below(3)], sizeof *cond_models); }
static long cond_real(void) { return copy(&cond_models[0], sizeof *cond_models); }
static long cond_mono(void) { return copy(&cond_models[1], sizeof *cond_models); }
static long cond_private(void) { return copy(&cond_models[below(2)], sizeof *cond_models); }
static long rw_read(void) { return copy(&rw_models[PICK(kRw, kRwWriters, kRwShared, kRwHisRead, kRwMine, kRwWritersHisRead)], sizeof *rw_models); }
static long rw_write(void) { return copy(&rw_models[PICK(kRw, kRwWriters, kRwShared, kRwMine)], sizeof *rw_models); }
static long rw_any(void) { return copy(&rw_models[below(kRwLocks)], sizeof *rw_models); }
static long rw_held(void) { return copy(&rw_models[PICK(kRwMine, kRwHisRead, kRwWritersHisRead)], sizeof *rw_models); }
static long sem_some(void) { return copy(&sem_models[1 + below(3)], sizeof *sem_models); }
static long sem_any(void) { return copy(&sem_models[below(4)], sizeof *sem_models); }
static long barrier(void) { return copy(&barrier_model, sizeof barrier_model); }
static long barrier_room(void) { return u(slot(sizeof(pthread_barrier_t))); }
static long once(void) { int* o = slot(8); *o = (int)PICK(0, 2); return u(o); }
static long spin(void) { int* s = slot(8); *s = 1 /* free */; return u(s); }
static long thread_attr(void) {
  static pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, (size_t)PICK(16384, 65536, 1 << 20));
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  return (long)&attr;
}
static long thread_alive(void) { return (long)PICK((long)peer, (long)self); }
static long thread_self(void) { return (long)self; }
static long thread_detached(void) { return (long)detached_thread; }
static long thread_sleeper(void) { return (long)detached_thread; }  // whose cancellation is disabled
static long name(void) { return u((void*)(long[]){(long)"short", (long)"fifteen letters", (long)"sixteen letters!", (long)"", (long)"a name that is far too long"}[below(5)]); }
static long key_wrong(void) { return PICK(900, 1000, 1024, 5000, -1); }
static long function(void) { return (long)nothing; }
static long affinity_size(void) { return PICK(8, 16, 128, 128, 0, 1, 4, 9, 1024); }
static long affinity_room(void) { return k(slot(1024)); }
static long affinity_set(void) { cpu_set_t* s = slot(1024); if (!in(3)) sched_getaffinity(0, sizeof *s, s); return k(s); }
static long pid_mine(void) { return PICK(0, 0, -1, 1 << 22, INT32_MIN); }
static long priority_number(void) { return PICK(0, 0, 1, 100); }
// glibc itself looks at it only in threads that have tried a priority-protected mutex.
static long priority_there(void) { int* p = slot(8); *p = (int)PICK(0, 0, 0, 1, 100); return (long)p; }
static long policy(void) { return PICK(SCHED_OTHER, SCHED_OTHER, SCHED_BATCH, 77, -1); }
static long priority(void) { int* p = slot(8); *p = (int)PICK(0, 0, 0, 1, 100); return u(p); }
static long thread_room(void) { return u(slot(8)); }
static long stack(void) { stack_t* s = slot(sizeof *s); *s = (stack_t){slots + 65536, (int)PICK(0, SS_DISABLE, 77, SS_ONSTACK), (size_t)PICK(0, 100, 2048, 16384)}; return in(3) ? 0 : u(s); }
static long action(void) { struct sigaction* a = slot(sizeof *a); a->sa_handler = SIG_IGN; a->sa_flags = (int)PICK(0, SA_RESTART); return in(2) ? 0 : u(a); }
static long action_out(void) { return in(2) ? 0 : u(slot(sizeof(struct sigaction))); }

// ---------------------------------------------------------------- files, processes, names, bare system calls

static long stream(void) {
  int of = (int)PICK(kZero, kNull, kFile);
  return printing ? 1l << 40 : (long)fdopen(dup(of), "r+");
}
static long open_flags(void) { return PICK(O_RDONLY, O_WRONLY, O_RDWR, O_PATH, O_RDONLY | O_DIRECTORY, O_RDONLY | O_CLOEXEC, 3, -1, O_TMPFILE); }
static long open_read(void) { return PICK(O_RDONLY, O_PATH, O_DIRECTORY); }
static long fd_moves(void) { return in(6) ? (long)PICK(-1, 777) : (refresh(kPipeR), (long)PICK(kPipeR, kEmptyR, kEmptyW, kFullW, kZero, kNull, kFile, kDir, kEofR, kBrokenW)); }
static long move_flags(void) { return 2 /* SPLICE_F_NONBLOCK */ | PICK(0, 1, 4, 64); }
// Not what all processes share: devices, and the one inode of all epolls.
static long fd_lock(void) { return in(6) ? (long)PICK(-1, 777) : PICK(kFile, kReadOnly, kWriteOnly, kDir, kPipeR, kMem, kPath, kEofR); }
static long fd_wrong(void) { return PICK(-1, 777, INT32_MAX); }
static long messages(void) {
  struct mmsghdr* m = slot(sizeof *m * 8);
  for (int i = 0; i < 3; ++i) {
    struct msghdr* one = (struct msghdr*)message();
    if ((char*)one >= slots && (char*)one < slots + kSlotBytes) m[i].msg_hdr = *one;
  }
  return k(m);
}
static long message_count(void) { return PICK(0, 1, 1, 3); }
static long queue_id(void) { return PICK(-1, 1 << 30, INT32_MAX); }
static long operations(void) { return k(slot(64)); }
static long timer_wrong(void) { return PICK(77777, 1 << 30); }
static long user(void) { return (long)(const char*[]){"root", "nobody", "none such", ""}[below(4)]; }
static long lock_size(void) { return PICK(0, 5, 100, -1, -1000); }
static long command(void) { return (long)(const char*[]){"exit 7", "", NULL}[in(20) ? 0 : 2]; }
static long library(void) { return (long)(const char*[]){"/proc/none.so", "nonexistent.so", "/dev/null", ""}[below(4)]; }
static long range_flags(void) { return PICK(0, 2, 4, 8, -1); }
static long prctl_option(void) { return PICK(PR_SET_NAME, PR_GET_NAME, PR_GET_TIMERSLACK, PR_GET_NO_NEW_PRIVS, PR_GET_PDEATHSIG, PR_SET_DUMPABLE, -1, 1000); }
static long id_wrong(void) { return -1; }
static long which_priority(void) { return PICK(3, 99, -1); }
static long priority_of(void) { return PICK(3, 99, -1, PRIO_PROCESS); }
static long unshare_flags(void) { return PICK(0, 1, 0x10000, 0x100, 0x20); }
static long stream_mode(void) { return (long)(const char*[]){"r", "w", "r+", "?"}[below(4)]; }
static long lock(void) {
  struct flock* l = slot(sizeof *l);
  *l = (struct flock){.l_type = (short)PICK(F_RDLCK, F_WRLCK, F_UNLCK, 77), .l_whence = (short)PICK(SEEK_SET, SEEK_CUR, 9), .l_start = PICK(0, 5, -1), .l_len = PICK(0, 5, -9)};
  return k(l);
}
static long lock_command(void) { return PICK(F_SETLK, F_GETLK, F_OFD_SETLK, F_OFD_GETLK, F_SETLKW, F_OFD_SETLKW); }
static long fcntl_command(void) { return PICK(F_GETFD, F_GETFL, F_GETOWN, F_GETSIG, F_GETPIPE_SZ, F_GET_SEALS, 9999, -1, F_SETOWN_EX); }
static long request(void) { return PICK(FIONREAD, 0x5401 /* TCGETS */, 0x12345678, 0, -1, 0x5413 /* TIOCGWINSZ */); }
static bool locked;
static long flock_how(void) {
  locked = true;
  return PICK(LOCK_SH, LOCK_EX, LOCK_UN, LOCK_SH | LOCK_NB, LOCK_EX | LOCK_NB, 0, 99);
}
static long lockf_how(void) { return PICK(F_LOCK, F_TLOCK, F_ULOCK, F_TEST, 99); }
static long arguments(void) { char** v = slot(64); v[0] = (char*)"x"; return k(v); }
static long arguments_u(void) { char** v = slot(64); v[0] = (char*)"x"; return u(v); }
static long wait_options(void) { return PICK(0, WNOHANG, WUNTRACED, 0x800, -1, WNOHANG | WCONTINUED, 0x20000000); }
static long waitid_options(void) { return PICK(WEXITED, WEXITED | WNOHANG, 0, WSTOPPED, WNOHANG, -1, WEXITED | WNOWAIT, 0x800); }
static long wait_pid(void) { return PICK(-1, 0, 1 << 22, 99999999, INT32_MIN, INT32_MIN + 1, 1); }
static long id_kind(void) { return PICK(P_ALL, P_PID, P_PGID, P_PIDFD, 77, -1); }
static long out(void) { return in(2) ? 0 : k(slot(256)); }
static long host(void) { return (long)(const char*[]){"127.0.0.1", "::1", "", "1.2.3.4.5", NULL}[below(4)]; }
static long service(void) { return (long)(const char*[]){"80", "0", "99999", "-1", NULL}[below(5)]; }
static long name_flags(void) { return NI_NUMERICHOST | NI_NUMERICSERV | PICK(0, NI_DGRAM, 64, 1 << 20); }
static long family(void) { return PICK(AF_INET, AF_INET6, 77); }
static long hints(void) {
  struct addrinfo* h = slot(sizeof *h);
  h->ai_flags = (int)(AI_NUMERICHOST | AI_NUMERICSERV | (in(6) ? (long)(int)draw() & ~AI_IDN & ~AI_CANONIDN : 0));
  h->ai_family = (int)PICK(AF_UNSPEC, AF_INET, AF_INET6, 77);
  h->ai_socktype = (int)PICK(0, SOCK_STREAM, SOCK_DGRAM, 99);
  return (long)h;
}
static long out_u(void) { return u(slot(1024)); }
static long option_level(void) { return PICK(SOL_SOCKET, SOL_SOCKET, IPPROTO_TCP, 9999, -1); }
static long option_name(void) { return PICK(SO_REUSEADDR, SO_KEEPALIVE, SO_RCVBUF, SO_LINGER, 9999, -1); }
static long option_value(void) { int* v = slot(64); *v = 1; return k(v); }
static long word(void) { uint32_t* w = slot(64); w[0] = 5; return in(12) ? (long)w + 1 : k(w); }
static long word_value(void) { return PICK(5, 5, 5, 6, 0); }
static long wait_op(void) { return PICK(FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME) | (in(3) ? 0 : FUTEX_PRIVATE_FLAG); }
static long wake_op(void) { return PICK(FUTEX_WAKE, FUTEX_WAKE_BITSET, FUTEX_REQUEUE, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP, FUTEX_FD, 77, FUTEX_UNLOCK_PI, FUTEX_WAKE | FUTEX_CLOCK_REALTIME) | (in(3) ? 0 : FUTEX_PRIVATE_FLAG); }
static long any32(void) { return (long)(uint32_t)(in(3) ? (uint64_t)number() : draw()); }
static long any_number(void) { return PICK(-1, 600, 1000, 99999, -100); }

#define CONST(n) static long c##n(void) { return n; }
CONST(0) CONST(1) CONST(4096)
#define CALL(number) static long n_##number(void) { return SYS_##number; }
#define FUZZ(...)
#define LEFT(...)
#include "fuzz.def"
#undef CALL
#undef FUZZ
