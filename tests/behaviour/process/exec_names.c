// exec by each of its names, from a child that a thread has forked: arguments and environment arrive, and the thread's signal mask.
// exec(3), fexecve(3), execveat(2).
#include "../check.h"

#include <fcntl.h>
#include <signal.h>

enum { kWays = 10 };
static const char* self;
static char* environment[] = {(char*)"VTSHIM_WORD=word", NULL, NULL};

static void become(int way) {
  char* argv[] = {(char*)"name", (char*)"exec", (char*)"", (char*)"last", NULL};
  int fd = open(self, O_RDONLY | O_CLOEXEC);
  CHECK_OK(fd);
  CHECK_OK(setenv("VTSHIM_WORD", "word", 1));
  environment[1] = getenv("LD_PRELOAD") ? strdup(getenv("LD_PRELOAD") - strlen("LD_PRELOAD=")) : NULL;
  switch (way) {
    case 0: execve(self, argv, environment); break;
    case 1: execv(self, argv); break;
    case 2: execvp(self, argv); break;
    case 3: execvpe(self, argv, environment); break;
    case 4: execl(self, "name", "exec", "", "last", NULL); break;
    case 5: execlp(self, "name", "exec", "", "last", NULL); break;
    case 6: execle(self, "name", "exec", "", "last", NULL, environment); break;
    case 7: fexecve(fd, argv, environment); break;
    case 8: execveat(fd, "", argv, environment, AT_EMPTY_PATH); break;
    default: execveat(AT_FDCWD, self, argv, environment, 0); break;
  }
  CHECK(!"exec returned");
}

static void* body(void* arg) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  CHECK_RC(pthread_sigmask(SIG_SETMASK, &set, NULL), 0);
  for (int way = 0; way < kWays; ++way) {
    pid_t pid = fork();
    CHECK_OK(pid);
    if (pid == 0) become(way);
    CHECK_CHILD_EXITS(pid, 9);
  }
  CHECK_ERR(execl("/no/such", "x", NULL), ENOENT);
  CHECK_ERR(execle("/no/such", "x", NULL, environment), ENOENT);
  CHECK_ERR(execlp("no such program", "x", NULL), ENOENT);
  CHECK_ERR(execveat(-1, "x", environment, environment, 0), EBADF);
  return arg;
}

int main(int argc, char** argv) {
  if (argc > 1) {
    sigset_t set;
    CHECK_EQ(argc, 4);
    CHECK_STR(argv[1], "exec");
    CHECK_STR(argv[2], "");
    CHECK_STR(argv[3], "last");
    CHECK(getenv("VTSHIM_WORD") != NULL);
    CHECK_RC(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
    for (int s = 1; s < 32; ++s) CHECK_EQ(sigismember(&set, s), s == SIGUSR2);
    return 9;
  }
  self = realpath(argv[0], NULL);
  CHECK(self != NULL);
  join_thread(start_thread(body, NULL));
  body(NULL);
  return 0;
}
