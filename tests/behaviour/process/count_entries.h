// Looks at a process from outside, in /proc.
#ifndef VTSHIM_TESTS_BEHAVIOUR_PROCESS_COUNT_ENTRIES_H
#define VTSHIM_TESTS_BEHAVIOUR_PROCESS_COUNT_ENTRIES_H

#include "../check.h"

#include <dirent.h>

// Entries of a folder of the process's in /proc; with `target`: links to that only.
static int count_entries(pid_t pid, const char* folder, const char* target) {
  char path[300], link[300];
  snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, folder);
  DIR* dir = opendir(path);
  CHECK(dir != NULL);
  int count = 0;
  for (struct dirent* e; (e = readdir(dir));) {
    if (e->d_name[0] == '.') continue;
    if (target) {
      snprintf(path, sizeof path, "/proc/%d/%s/%.20s", (int)pid, folder, e->d_name);
      ssize_t n = readlink(path, link, sizeof link - 1);
      if (n <= 0) continue;
      link[n] = 0;
      if (!strstr(link, target)) continue;
    }
    ++count;
  }
  CHECK_OK(closedir(dir));
  return count;
}

// Until the process has one OS thread and no ring; within 20 s.
static void await_bare(pid_t pid) {
  long long end = now_ms() + 20000;
  while (count_entries(pid, "task", NULL) != 1 || count_entries(pid, "fd", "io_uring") != 0) {
    CHECK(now_ms() < end);
    sleep_ms(50);
  }
}

#endif
