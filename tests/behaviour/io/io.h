// What the I/O tests share. After check.h.
#ifndef VTSHIM_TESTS_BEHAVIOUR_IO_H
#define VTSHIM_TESTS_BEHAVIOUR_IO_H

#include "../check.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

// Some calls are wrong on purpose.
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#pragma GCC diagnostic ignored "-Wstringop-overread"
#pragma GCC diagnostic ignored "-Wnonnull"

// body(NULL) on `workers` threads at once, then on the main thread.
static inline void run_everywhere(int workers, void* (*body)(void*)) {
  pthread_t threads[64];
  CHECK(workers <= 64);
  for (int i = 0; i < workers; ++i) threads[i] = start_thread(body, NULL);
  for (int i = 0; i < workers; ++i) join_thread(threads[i]);
  body(NULL);
}

// An empty regular file without a name.
static inline int unnamed_file(int flags) {
  char name[] = "/tmp/vtshim-io-XXXXXX";
  int fd = mkostemp(name, flags);
  CHECK_OK(fd);
  CHECK_OK(unlink(name));
  return fd;
}

// A listening TCP socket on the loopback; its address.
static inline int tcp_listener(struct sockaddr_in* address, int backlog) {
  socklen_t size = sizeof *address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_OK(fd);
  *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  CHECK_OK(bind(fd, (struct sockaddr*)address, sizeof *address));
  CHECK_OK(listen(fd, backlog));
  CHECK_OK(getsockname(fd, (struct sockaddr*)address, &size));
  return fd;
}

// Two connected TCP sockets.
static inline void tcp_pair(int pair[2]) {
  struct sockaddr_in address;
  int listener = tcp_listener(&address, 1);
  CHECK_OK(pair[0] = socket(AF_INET, SOCK_STREAM, 0));
  CHECK_OK(connect(pair[0], (struct sockaddr*)&address, sizeof address));
  CHECK_OK(pair[1] = accept(listener, NULL, NULL));
  CHECK_OK(close(listener));
}

// An address in Linux's abstract namespace that no other test or thread uses; its size for bind and connect.
static inline socklen_t unix_address(struct sockaddr_un* address) {
  static unsigned next;
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  int n = snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "vtshim-test-%d-%u", (int)getpid(),
                   __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED));
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

// Bytes that tell their place.
static inline unsigned char byte_at(size_t at) { return (unsigned char)((at * 2654435761u) >> 13); }
static inline void fill_bytes(void* buffer, size_t size, size_t at) {
  for (size_t i = 0; i < size; ++i) ((unsigned char*)buffer)[i] = byte_at(at + i);
}
static inline void check_bytes(const void* buffer, size_t size, size_t at) {
  for (size_t i = 0; i < size; ++i) CHECK_EQ(((const unsigned char*)buffer)[i], byte_at(at + i));
}

static inline void set_timeout(int fd, int option, int ms) {
  struct timeval t = {ms / 1000, ms % 1000 * 1000};
  CHECK_OK(setsockopt(fd, SOL_SOCKET, option, &t, sizeof t));
}

static inline void close_both(const int pair[2]) {
  CHECK_OK(close(pair[0]));
  CHECK_OK(close(pair[1]));
}

#endif  // VTSHIM_TESTS_BEHAVIOUR_IO_H
