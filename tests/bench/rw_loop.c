// A program without threads writes 64 bytes to a pipe and reads them back; prints nanoseconds a write+read.
#include <unistd.h>

#include "bench.h"

static int ends[2];

static int64_t run(long n) {
  char buffer[64] = {0};
  int64_t start = bench_now_ns();
  for (long i = 0; i < n; ++i) {
    BENCH_CHECK(write(ends[1], buffer, sizeof buffer) == sizeof buffer);
    BENCH_CHECK(read(ends[0], buffer, sizeof buffer) == sizeof buffer);
  }
  return bench_now_ns() - start;
}

int main(int argc, char **argv) {
  BENCH_CHECK(!pipe(ends));
  printf("ns_per_op %.1f\n", bench_calibrated(run, bench_seconds(argc, argv)));
  return 0;
}
