// What memory the process has, for tests of what is given back.
#pragma once

#include "check.h"

static inline long resident_kib(void) {
  char line[256];
  long kib = 0;
  FILE* f = fopen("/proc/self/smaps_rollup", "r");  // exact, also before Linux 6.2
  CHECK(f != NULL);
  while (!kib && fgets(line, sizeof line, f)) sscanf(line, "Rss: %ld", &kib);
  fclose(f);
  return kib;
}

