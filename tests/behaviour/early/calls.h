// Calls each row of calls.def in a forked child and prints what came, by bare system calls: rows.py compiles this into libraries and programs that do it at
// different times before main(). Nothing of the shim runs but in the children, so each row is the first that they call.
#pragma once
#include <aio.h>
#include <aliases.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <gshadow.h>
#include <linux/capability.h>
#include <mqueue.h>
#include <netdb.h>
#include <netinet/ether.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <resolv.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <shadow.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <threads.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "shim/undeclared.h"

extern "C" {
int bsd_sigpause(int) __asm__("sigpause");
int older_yield() __asm__("pthread_yield");
int older_consistent(pthread_mutex_t*) __asm__("pthread_mutex_consistent_np");
int __sigpause(int, int);
int __xpg_sigpause(int);
int __sigsuspend(const sigset_t*);
pid_t __vfork();
}

// For binaries of before glibc 2.34 only.
#define OLDER(name, version) __asm__(".symver " #name "," #name "@GLIBC_" version)
OLDER(__pthread_mutex_lock, "2.2.5");
OLDER(__pthread_mutex_trylock, "2.2.5");
OLDER(__pthread_mutex_unlock, "2.2.5");
OLDER(__pthread_once, "2.2.5");
OLDER(__pthread_rwlock_rdlock, "2.2.5");
OLDER(__pthread_rwlock_wrlock, "2.2.5");
OLDER(__pthread_rwlock_tryrdlock, "2.2.5");
OLDER(__pthread_rwlock_trywrlock, "2.2.5");
OLDER(__pthread_rwlock_unlock, "2.2.5");
OLDER(__res_query, "2.2.5");
OLDER(__res_search, "2.2.5");
OLDER(__res_querydomain, "2.2.5");
OLDER(__res_send, "2.2.5");
OLDER(__res_nquery, "2.2.5");
OLDER(__res_nsearch, "2.2.5");
OLDER(__res_nquerydomain, "2.2.5");
OLDER(__res_nsend, "2.2.5");
OLDER(pthread_yield, "2.2.5");
OLDER(pthread_mutex_consistent_np, "2.4");

namespace {

long raw(long n, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  long r;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return r;
}

// ---------------------------------------------------------------- what the rows call with

alignas(4096) char stack[64 << 10];
char buf[4096];
unsigned char answer[512];
struct __res_state state;
pthread_mutex_t mutex;
pthread_cond_t cond;
pthread_rwlock_t rwlock;
sem_t sem;
int in, out, socket_a, socket_b;
const timespec past{1, 0}, later{4000000000, 0};
volatile int calls;
char sh[] = "sh", dash_c[] = "-c", nine[] = "exit 9";
char* shell[] = {sh, dash_c, nine, nullptr};
char* none[] = {nullptr};

[[maybe_unused]] void* same(void* p) { return p; }
[[maybe_unused]] void* pauses(void* p) {
  for (;;) poll(nullptr, 0, -1);
  return p;
}
int seven(void*) { return 7; }
void once() { ++calls; }
void on_signal(int) { ++calls; }
/// Before fork and in the child.
void exit_if_once() {
  if (calls == 1) raw(SYS_exit_group, 5);
}
void handle() { signal(SIGUSR1, on_signal); }
void one(sigset_t* set, int signal) {
  sigemptyset(set);
  sigaddset(set, signal);
}
/// SIGUSR1 is blocked, handled and pending.
void arm() {
  sigset_t set;
  one(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  handle();
  raw(SYS_kill, raw(SYS_getpid), SIGUSR1);
}
long suspended(int (*suspend)(const sigset_t*)) {
  arm();
  sigset_t empty;
  sigemptyset(&empty);
  return suspend(&empty) + calls * 10;
}
/// SIGALRM, again and again.
void soon() {
  itimerval t{{0, 1000}, {0, 1000}};
  raw(SYS_setitimer, ITIMER_REAL, (long)&t);
}
pthread_t thread_that_ends() {
  pthread_t t;
  if (pthread_create(&t, nullptr, same, nullptr)) raw(SYS_exit_group, 66);
  return t;
}
long wait_for(long pid) {
  int status = 0;
  if (pid <= 0) return pid;
  raw(SYS_wait4, pid, (long)&status, __WALL);
  return status;
}
/// 0: this is the child.
inline __attribute__((always_inline)) long child_of(long pid) {
  if (pid == 0) raw(SYS_exit_group, 6);
  return wait_for(pid);
}
/// A child that has ended with status 3.
pid_t dead() {
  long pid = raw(SYS_clone, SIGCHLD);
  if (pid == 0) raw(SYS_exit_group, 3);
  siginfo_t info;
  raw(SYS_waitid, P_PID, pid, (long)&info, WEXITED | WNOWAIT);
  return (pid_t)pid;
}
int epoll_of(int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  int epfd = (int)raw(SYS_epoll_create1, 0);
  raw(SYS_epoll_ctl, epfd, EPOLL_CTL_ADD, fd, (long)&event);
  return epfd;
}
int file() { return (int)raw(SYS_openat, AT_FDCWD, (long)"/etc/passwd", O_RDONLY); }
/// Its one name server is a port that nobody has.
void nobody_answers(struct __res_state* s) {
  res_ninit(s);
  s->nscount = 1;
  s->nsaddr_list[0].sin_family = AF_INET;
  s->nsaddr_list[0].sin_port = htons(1);
  s->nsaddr_list[0].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  s->retry = s->retrans = 1;
  s->options &= ~(RES_DNSRCH | RES_DEFNAMES);
}

void prepare() {
  int pair[2];
  raw(SYS_pipe2, (long)pair, 0);
  in = pair[0], out = pair[1];
  raw(SYS_write, out, (long)"abcd", 4);
  raw(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, (long)pair);
  socket_a = pair[0], socket_b = pair[1];
  raw(SYS_write, socket_a, (long)"abcd", 4);
}

// ---------------------------------------------------------------- the rows

struct Record {
  long result;
  int error, done;
};
struct Row {
  const char* name;
  void (*call)(Record*);
};
#define RECORD_ERRNO long r = 0; errno = 0
#define RECORD_END record->result = r, record->error = r == -1 ? errno : 0
#define I(name, ...) {#name, [](Record* record) { RECORD_ERRNO; r = (long)name(__VA_ARGS__); RECORD_END; }},
#define E(name, ...) {#name, [](Record* record) { record->result = name(__VA_ARGS__); }},
#define P(name, ...) {#name, [](Record* record) { record->result = name(__VA_ARGS__) != nullptr; }},
#define V(name, ...) {#name, [](Record*) { (void)name(__VA_ARGS__); }},
#define S(name, ...) {#name, [](Record* record) { RECORD_ERRNO; __VA_ARGS__; RECORD_END; }},
const Row rows[] = {
#include "calls.def"
};
#undef I
#undef E
#undef P
#undef V
#undef S

class Line {
 public:
  Line& put(const char* text) {
    while (*text && used_ < sizeof text_) text_[used_++] = *text++;
    return *this;
  }
  Line& number(long n) {
    if (n < 0) put("-"), n = -n;
    char digits[24], *p = digits + sizeof digits;
    *--p = 0;
    do *--p = (char)('0' + n % 10);
    while (n /= 10);
    return put(p);
  }
  void end() {
    put("\n");
    raw(SYS_write, 1, (long)text_, (long)used_);
  }

 private:
  char text_[200];
  size_t used_ = 0;
};

void run_row(const Row& row, const char* where, Record* record) {
  *record = {};
  long pid = raw(SYS_clone, SIGCHLD);
  if (pid == 0) {
    itimerval limit{{}, {20, 0}};
    raw(SYS_setitimer, ITIMER_REAL, (long)&limit);
    prepare();
    row.call(record);
    record->done = 1;
    raw(SYS_exit_group, 0);
  }
  int status = 0;
  raw(SYS_wait4, pid, (long)&status, 0);
  Line line;
  line.put(where).put(" ").put(row.name).put(": ");
  if (status & 127) line.put("signal ").number(status & 127);
  else line.put("result ").number(record->result).put(" errno ").number(record->error).put(record->done ? "" : ", unfinished, status ").number(status >> 8);
  line.end();
}

[[maybe_unused]] void run_rows(const char* where) {
  auto* record = (Record*)raw(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  for (const Row& row : rows) run_row(row, where, record);
}

}  // namespace
