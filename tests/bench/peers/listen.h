// What the peers' echo servers in C share: a listener on a free port of loopback, which it prints.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../bench.h"

enum { kMessage = 64 };

// As many descriptors as the hard limit permits.
static inline void permit_files(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files)) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

static inline int listen_anywhere(int flags) {
  permit_files();
  struct sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  BENCH_CHECK(listener >= 0);
  BENCH_CHECK(!bind(listener, (struct sockaddr *)&address, length));
  BENCH_CHECK(!listen(listener, 4096));
  BENCH_CHECK(!getsockname(listener, (struct sockaddr *)&address, &length));
  printf("port %d\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}
