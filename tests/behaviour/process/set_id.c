// A process changes its ids: every thread has the new ones at once, whoever asks, and every OS thread behind them; while others wait, compute,
// hold locks, and new ones start. Without privileges: to the ids that it has. nptl(7), setresuid(2), setgroups(2).
#include "../check.h"

#include <dirent.h>
#include <grp.h>
#include <poll.h>
#include <stdatomic.h>

enum { kThreads = 24 };

static atomic_int over, asked;
static int wake[2], privileged;
static uid_t uid;
static gid_t gid;

static void* busy(void* arg) {
  char c;
  struct pollfd p = {wake[0], POLLIN, 0};
  switch ((long)arg % 4) {
    case 0:
      CHECK_EQ(read(wake[0], &c, 1), 0);
      break;
    case 1:
      while (poll(&p, 1, -1) != 1) CHECK_EQ(errno, EINTR);  // glibc's signal ends it
      break;
    case 2:
      while (!atomic_load(&over)) continue;
      break;
    default:
      while (!atomic_load(&over)) usleep(200);
      break;
  }
  CHECK(getuid() == uid && geteuid() == uid && getgid() == gid && getegid() == gid);
  return NULL;
}

// The kernel's view of each OS thread.
static void check_all(void) {
  DIR* tasks = opendir("/proc/self/task");
  CHECK(tasks != NULL);
  for (struct dirent* d; (d = readdir(tasks));) {
    char path[300], line[200];
    unsigned real, effective;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", d->d_name);
    FILE* f = d->d_name[0] == '.' ? NULL : fopen(path, "r");
    if (!f) continue;
    while (fgets(line, sizeof line, f)) {
      if (sscanf(line, "Uid: %u %u", &real, &effective) == 2) CHECK(real == uid && effective == uid);
      if (sscanf(line, "Gid: %u %u", &real, &effective) == 2) CHECK(real == gid && effective == gid);
    }
    CHECK_EQ(fclose(f), 0);
  }
  CHECK_EQ(closedir(tasks), 0);
}

static void* tell_id(void* arg) {
  (void)arg;
  return (void*)(long)gettid();
}
// A thread that has been joined is an OS thread for a moment still, with the ids that it had: libc leaves out who ends.
static void start_and_end(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%ld", (long)join_thread(start_thread(tell_id, NULL)));
  while (access(path, F_OK) == 0) usleep(100);
}

static void* change(void* arg) {
  gid_t groups[] = {gid};
  if (privileged) CHECK_OK(setgroups(1, groups));
  for (int i = 0; i < 5; ++i) {
    CHECK_OK(setegid(gid));
    CHECK_OK(setregid((gid_t)-1, gid));
    start_and_end();
  }
  CHECK_OK(setgid(gid));
  CHECK_OK(setresgid(gid, gid, gid));
  CHECK_OK(seteuid(privileged ? 0 : uid));
  CHECK_OK(setreuid((uid_t)-1, privileged ? 0 : uid));
  CHECK_OK(setuid(uid));
  CHECK_OK(setresuid(uid, uid, uid));
  if (uid != 0) CHECK_ERR(setuid(0), EPERM);
  check_all();
  atomic_store(&asked, 1);
  return arg;
}

static void in_child(int by_main) {
  pthread_t threads[kThreads];
  CHECK_OK(pipe(wake));
  for (long i = 0; i < kThreads; ++i) threads[i] = start_thread(busy, (void*)(i < 12 ? i : i - i % 4 + 3));
  usleep(2000);
  if (by_main) change(NULL);
  else join_thread(start_thread(change, NULL));
  CHECK_EQ(atomic_load(&asked), 1);
  atomic_store(&over, 1);
  CHECK_OK(close(wake[1]));
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  check_all();
}
static void by_main(void) { in_child(1); }
static void by_worker(void) { in_child(0); }

int main(void) {
  privileged = geteuid() == 0;
  uid = privileged ? 4321 : getuid();
  gid = privileged ? 1234 : getgid();
  CHECK_CHILD_EXITS(fork_child(by_main), 0);
  CHECK_CHILD_EXITS(fork_child(by_worker), 0);
  return 0;
}
