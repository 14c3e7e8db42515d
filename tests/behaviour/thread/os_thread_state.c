// What Linux keeps per thread: name and timer slack (prctl(2)), nice value, no_new_privs, ambient and effective capabilities, setfsuid(2). A
// thread that changes its own keeps it across waits, and no other thread has it, neither then nor after its end; by syscall(2), too.
#include "../check.h"

#include <linux/capability.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

extern int capset(struct __user_cap_header_struct*, const struct __user_cap_data_struct*);

enum { kOthers = 6, kRounds = 10 };
static int g_stop;
static char g_name[16];

static int no_new_privs(void) { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); }

static uint32_t capabilities(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  CHECK_OK(syscall(SYS_capget, &header, data));
  return data[0].effective;
}
static uint32_t g_capabilities;

static void check_untouched(void) {
  char name[16];
  CHECK_OK(prctl(PR_GET_NAME, name));
  CHECK_STR(name, g_name);
  CHECK_EQ(prctl(PR_GET_TIMERSLACK), 50000);
  CHECK_EQ(getpriority(PRIO_PROCESS, 0), 0);
  CHECK_EQ(getpriority(PRIO_PROCESS, gettid()), 0);
  CHECK_EQ(no_new_privs(), 0);
  CHECK_EQ(capabilities(), g_capabilities);
  CHECK_EQ(setfsuid(-1), geteuid());
}

static void* other(void* arg) {
  do {
    check_untouched();
    sleep_ms(1);
  } while (arg && !__atomic_load_n(&g_stop, __ATOMIC_RELAXED));
  return NULL;
}

static void rest(int i) {
  if (i % 2) sleep_ms(1);
  else sched_yield();
}

static void* names(void* arg) {
  char name[17] = "untouched-------", want[16];
  CHECK_ERR(prctl(PR_SET_NAME, (void*)8), EFAULT);
  CHECK_ERR(prctl(PR_GET_NAME, (void*)8), EFAULT);
  CHECK_OK(prctl(PR_SET_NAME, "sixteen-is-longer-by-far"));  // cut off
  CHECK_OK(prctl(PR_GET_NAME, name));
  CHECK_STR(name, "sixteen-is-long");
  CHECK_OK(syscall(SYS_prctl, PR_SET_NAME, "x"));
  CHECK_OK(prctl(PR_GET_NAME, name));
  CHECK(memcmp(name, "x\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16) == 0);
  snprintf(want, sizeof want, "named-%d", (int)(long)arg);
  CHECK_OK(prctl(PR_SET_NAME, want));
  for (int i = 0; i < kRounds; ++i) {
    rest(i);
    CHECK_RC(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    CHECK_STR(name, want);
    CHECK_RC(pthread_setname_np(pthread_self(), i % 2 ? want : "between"), 0);
    CHECK_OK(prctl(PR_GET_NAME, name));
    CHECK_STR(name, i % 2 ? want : "between");
    CHECK_OK(prctl(PR_SET_NAME, want));
  }
  return NULL;
}

static void* inherits(void* arg) {
  char name[16];
  CHECK_OK(prctl(PR_GET_NAME, name));
  CHECK_STR(name, "inherited");
  CHECK_EQ(getpriority(PRIO_PROCESS, 0), 7);
  CHECK_EQ(prctl(PR_GET_TIMERSLACK), 70000);
  CHECK_OK(prctl(PR_SET_TIMERSLACK, 5));
  CHECK_OK(prctl(PR_SET_TIMERSLACK, 0));
  CHECK_EQ(prctl(PR_GET_TIMERSLACK), 70000);
  return arg;
}

static void* niceness(void* arg) {
  (void)arg;
  errno = 0;
  CHECK_EQ(nice(3), 3);
  CHECK_OK(setpriority(PRIO_PROCESS, 0, 5));
  CHECK_EQ(getpriority(PRIO_PROCESS, 0), 5);
  CHECK_EQ(syscall(SYS_getpriority, PRIO_PROCESS, 0), 15);
  CHECK_OK(syscall(SYS_setpriority, PRIO_PROCESS, gettid(), 6));
  CHECK_ERR(setpriority(99, 0, 5), EINVAL);
  CHECK_ERR(setpriority(PRIO_PROCESS, 1 << 22, 5), ESRCH);
  CHECK_EQ(nice(1), 7);
  CHECK_OK(prctl(PR_SET_TIMERSLACK, 70000));
  CHECK_OK(prctl(PR_SET_NAME, "inherited"));
  for (int i = 0; i < kRounds; ++i) {
    rest(i);
    CHECK_EQ(getpriority(PRIO_PROCESS, 0), 7);
    CHECK_EQ(prctl(PR_GET_TIMERSLACK), 70000);
  }
  join_thread(start_thread(inherits, NULL));
  CHECK_EQ(nice(100), 19);
  CHECK_EQ(nice(1), 19);
  return NULL;
}

static void* unprivileged(void* arg) {
  (void)arg;
  CHECK_ERR(prctl(PR_SET_NO_NEW_PRIVS, 2, 0, 0, 0), EINVAL);
  CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  for (int i = 0; i < kRounds; ++i) {
    CHECK_EQ(no_new_privs(), 1);
    rest(i);
  }
  return NULL;
}

static void* incapable(void* arg) {
  (void)arg;
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
  CHECK_OK(capset(&header, none));
  for (int i = 0; i < kRounds; ++i) {
    CHECK_EQ(capabilities(), 0);
    rest(i);
  }
  CHECK_ERR(syscall(SYS_capset, &header, NULL), EFAULT);
  return NULL;
}

static void* foreigner(void* arg) {
  (void)arg;
  uid_t uid = geteuid(), gid = getegid();
  bool may = uid == 0;
  CHECK_EQ(setfsuid(4242), uid);
  CHECK_EQ(syscall(SYS_setfsgid, 4243), gid);
  for (int i = 0; i < kRounds; ++i) {
    CHECK_EQ(setfsuid(-1), may ? 4242 : uid);
    CHECK_EQ(setfsgid(-1), may ? 4243 : gid);
    rest(i);
  }
  return NULL;
}

int main(void) {
  if (getpriority(PRIO_PROCESS, 0) != 0) CHECK(setpriority(PRIO_PROCESS, 0, 0) == 0 || (exit(77), 0));
  if (no_new_privs() || prctl(PR_GET_TIMERSLACK) != 50000) SKIP("started with other values than usual");
  CHECK_OK(prctl(PR_SET_NAME, "everybody"));
  CHECK_OK(prctl(PR_GET_NAME, g_name));
  g_capabilities = capabilities();
  void* (*kinds[])(void*) = {names, niceness, unprivileged, incapable, foreigner};
  enum { kKinds = sizeof kinds / sizeof *kinds };
  pthread_t others[kOthers], some[2 * kKinds];
  for (int i = 0; i < kOthers; ++i) others[i] = start_thread(other, &g_stop);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 2 * kKinds; ++i) some[i] = start_thread(kinds[i % kKinds], (void*)(long)i);
    check_untouched();
    for (int i = 0; i < 2 * kKinds; ++i) join_thread(some[i]);
    for (int i = 0; i < 10; ++i) join_thread(start_thread(other, NULL));
    check_untouched();
  }
  __atomic_store_n(&g_stop, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < kOthers; ++i) join_thread(others[i]);
  // Main's own: its threads inherit them.
  CHECK_OK(prctl(PR_SET_NAME, "inherited"));
  CHECK_EQ(nice(7), 7);
  CHECK_OK(prctl(PR_SET_TIMERSLACK, 70000));
  join_thread(start_thread(inherits, NULL));
  CHECK_EQ(getpriority(PRIO_PROCESS, getpid()), 7);
  CHECK_EQ(prctl(PR_GET_TIMERSLACK), 70000);
  return 0;
}
