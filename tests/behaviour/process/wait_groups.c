// Waiting for a process group: waitpid(-pgid), waitpid(0), waitid(P_PGID, also 0); threads that wait for different
// groups each get their own, and ECHILD when the group is empty. wait(2).

#include "../check.h"

enum { kGroups = 4, kMembers = 3 };

typedef struct {
  pid_t leader;
  int codes, way;
  int gate[2];
} Group;

static pid_t start_member(Group* group, int code) {
  pid_t pid = fork();
  CHECK_OK(pid);
  if (pid == 0) {
    char c;
    setpgid(0, group->leader);
    close(group->gate[1]);
    while (read(group->gate[0], &c, 1) > 0) {
    }
    _exit(code);
  }
  if (setpgid(pid, group->leader) != 0) CHECK_EQ(errno, EACCES);
  return pid;
}

static void* waiter(void* arg) {
  Group* group = arg;
  for (int i = 0; i < kMembers; ++i) {
    int status = 0;
    siginfo_t info;
    if (group->way == 0) {
      CHECK(waitpid(-group->leader, &status, 0) > 0);
    } else if (group->way == 1) {
      CHECK(wait4(-group->leader, &status, WUNTRACED, NULL) > 0);
    } else {
      CHECK_EQ(waitid(P_PGID, (id_t)group->leader, &info, WEXITED), 0);
      status = info.si_status << 8;
    }
    CHECK(WIFEXITED(status));
    group->codes += WEXITSTATUS(status);
  }
  CHECK_ERR(waitpid(-group->leader, NULL, 0), ECHILD);
  return NULL;
}

static void* own_group(void* arg) {
  int status;
  siginfo_t info;
  pid_t other = fork(), mine = -1;
  CHECK_OK(other);
  if (other == 0) {
    setpgid(0, 0);
    _exit(1);
  }
  if (setpgid(other, other) != 0) CHECK_EQ(errno, EACCES);
  for (int way = 0; way < 2; ++way) {
    CHECK_OK(mine = fork());
    if (mine == 0) {
      sleep_ms(3);
      _exit(2);
    }
    if (way == 0) {
      CHECK_EQ(waitpid(0, &status, 0), mine);
      CHECK_ERR(waitpid(0, &status, 0), ECHILD);
    } else {
      CHECK_EQ(waitid(P_PGID, 0, &info, WEXITED), 0);
      CHECK_EQ(info.si_pid, mine);
    }
  }
  CHECK_EQ(waitpid(-1, &status, 0), other);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
  return arg;
}

int main(void) {
  static Group groups[kGroups];
  pthread_t threads[kGroups];
  for (int g = 0; g < kGroups; ++g) {
    groups[g].way = g % 3;
    CHECK_OK(pipe(groups[g].gate));
    groups[g].leader = start_member(&groups[g], 1);
    for (int i = 1; i < kMembers; ++i) start_member(&groups[g], 1 << i);
  }
  for (int g = 0; g < kGroups; ++g) threads[g] = start_thread(waiter, &groups[g]);
  sleep_ms(2);
  // Later children hold copies of the earlier gates.
  for (int g = kGroups; g-- > 0;) {
    CHECK_OK(close(groups[g].gate[1]));
    join_thread(threads[g]);
    CHECK_EQ(groups[g].codes, (1 << kMembers) - 1);
    CHECK_OK(close(groups[g].gate[0]));
  }
  join_thread(start_thread(own_group, NULL));
  own_group(NULL);
  return 0;
}
