// As leaves_again, but main sits in its blocking call since before the last thread ended: in select, then in recv, in accept. The call isn't
// disturbed, and ends with what it waited for.
#include "../check.h"
#include "count_entries.h"

#include <semaphore.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>

static int g_pair[2], g_listener;

static void* ends_later(void* arg) {
  sleep_ms(100);
  return arg;
}

static void observer(void) {
  await_bare(getppid());
  CHECK_EQ(send(g_pair[1], "x", 1, 0), 1);
}
static void connector(void) {
  await_bare(getppid());
  struct sockaddr_un name;
  socklen_t size = sizeof name;
  CHECK_OK(getsockname(g_listener, (struct sockaddr*)&name, &size));
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK_OK(connect(fd, (struct sockaddr*)&name, size));
}

int main(void) {
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, g_pair));
  g_listener = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  CHECK_OK(bind(g_listener, (struct sockaddr*)&name, sizeof(sa_family_t)));
  CHECK_OK(listen(g_listener, 5));
  for (int what = 0; what < 3; ++what) {
    pid_t child = fork_child(what == 2 ? connector : observer);
    CHECK_RC(pthread_detach(start_thread(ends_later, NULL)), 0);
    char byte;
    fd_set set;
    FD_ZERO(&set);
    FD_SET(g_pair[0], &set);
    if (what == 0) {
      CHECK_EQ(select(g_pair[0] + 1, &set, NULL, NULL, NULL), 1);
      CHECK(FD_ISSET(g_pair[0], &set));
    }
    if (what < 2) CHECK_EQ(recv(g_pair[0], &byte, 1, 0), 1);
    if (what == 2) CHECK_OK(accept(g_listener, NULL, NULL));
    CHECK_CHILD_EXITS(child, 0);
  }
  return 0;
}
