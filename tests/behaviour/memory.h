// What memory the process has, for tests of what is given back.
#pragma once

#include "check.h"

// Not by statm, which is inexact before Linux 6.2, nor by smaps_rollup: Linux 6.1 leaves mappings out there while another thread maps memory.
static inline long resident_kib(void) {
  char line[256];
  long sum = 0, kib;
  FILE* f = fopen("/proc/self/smaps", "r");
  CHECK(f != NULL);
  while (fgets(line, sizeof line, f))
    if (sscanf(line, "Rss: %ld", &kib) == 1) sum += kib;
  fclose(f);
  return sum;
}

