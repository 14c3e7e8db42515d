// Starts a program --count times by posix_spawn, one after the other, and prints the median milliseconds from spawn to
// exit. What follows `--` is NAME=VALUE settings for the started program only, then its path and arguments.
#include <spawn.h>
#include <sys/wait.h>

#include "bench.h"

extern char **environ;

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  int count = atoi(bench_option(argc, argv, "--count", "200")), first = 1, inherited = 0, settings = 0;
  while (first < argc && strcmp(argv[first], "--")) ++first;
  ++first;
  while (environ[inherited]) ++inherited;
  char **env = calloc((size_t)(inherited + argc + 1), sizeof *env);
  while (first < argc && strchr(argv[first], '=')) env[settings++] = argv[first++];
  if (first >= argc || count < 1) bench_die(__FILE__, __LINE__, "usage", "startup --count N -- [NAME=VALUE...] PROGRAM ARGS...");
  memcpy(env + settings, environ, (size_t)inherited * sizeof *env);

  double *took = calloc((size_t)count, sizeof *took);
  for (int i = -3; i < count; ++i) {  // three to warm up
    pid_t pid;
    int status;
    int64_t start = bench_now_ns();
    BENCH_OK(posix_spawn(&pid, argv[first], NULL, NULL, argv + first, env));
    BENCH_CHECK(waitpid(pid, &status, 0) == pid);
    if (i >= 0) took[i] = (double)(bench_now_ns() - start) / 1e6;
    errno = 0;
    BENCH_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  qsort(took, (size_t)count, sizeof *took, compare);
  printf("ms_per_start %.3f p90_ms %.3f\n", took[count / 2], took[count * 9 / 10]);
  return 0;
}
