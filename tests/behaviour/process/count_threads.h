// How many OS threads this process has.
#ifndef VTSHIM_TESTS_BEHAVIOUR_PROCESS_COUNT_THREADS_H
#define VTSHIM_TESTS_BEHAVIOUR_PROCESS_COUNT_THREADS_H

#include "../check.h"

#include <dirent.h>

static int count_threads(void) {
  DIR* dir = opendir("/proc/self/task");
  CHECK(dir != NULL);
  int count = 0;
  struct dirent* entry;
  while ((entry = readdir(dir)) != NULL) count += entry->d_name[0] != '.';
  CHECK_OK(closedir(dir));
  return count;
}

#endif
