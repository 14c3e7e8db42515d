// accept and accept4: they wait, give the peer's address (also into too little room, or none), honour SOCK_CLOEXEC and
// SOCK_NONBLOCK, many threads on one listener get one connection each, and what they refuse. accept(2).
#include "io.h"

#include <stdatomic.h>

enum { kAcceptors = 8, kConnections = 40 };
typedef struct {
  struct sockaddr_storage address;
  socklen_t size;
  int family;
} Server;

static int connect_to(const Server* server) {
  int fd = socket(server->family, SOCK_STREAM, 0);
  CHECK_OK(fd);
  CHECK_OK(connect(fd, (const struct sockaddr*)&server->address, server->size));
  return fd;
}

static int new_listener(Server* server, int unix_socket, int backlog) {
  server->family = unix_socket ? AF_UNIX : AF_INET;
  if (!unix_socket) {
    server->size = sizeof(struct sockaddr_in);
    return tcp_listener((struct sockaddr_in*)&server->address, backlog);
  }
  server->size = unix_address((struct sockaddr_un*)&server->address);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK_OK(bind(fd, (struct sockaddr*)&server->address, server->size));
  CHECK_OK(listen(fd, backlog));
  return fd;
}

static void* late_client(void* arg) {
  char c;
  sleep_ms(1);
  int fd = connect_to(arg);
  CHECK_EQ(read(fd, &c, 1), 0);
  CHECK_OK(close(fd));
  return NULL;
}

static void test_flags(int unix_socket) {
  Server server;
  int listener = new_listener(&server, unix_socket, 5);
  for (int flags = 0; flags < 4; ++flags)
    for (int room = 0; room < 4; ++room) {  // no address; too little room; enough; accept itself
      struct sockaddr_storage from;
      socklen_t size = room == 1 ? 3 : sizeof from;
      int fd, want = (flags & 1 ? SOCK_CLOEXEC : 0) | (flags & 2 ? SOCK_NONBLOCK : 0);
      memset(&from, 0xee, sizeof from);
      pthread_t client = start_thread(late_client, &server);
      errno = 123;
      if (room == 0)
        fd = accept4(listener, NULL, NULL, want);
      else if (room < 3)
        fd = accept4(listener, (struct sockaddr*)&from, &size, want);
      else
        fd = accept(listener, (struct sockaddr*)&from, &size);
      CHECK_OK(fd);
      CHECK_EQ(errno, 123);
      if (room == 3) want = 0;
      CHECK_EQ(fcntl(fd, F_GETFD), want & SOCK_CLOEXEC ? FD_CLOEXEC : 0);
      CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, want & SOCK_NONBLOCK ? O_NONBLOCK : 0);
      if (want & SOCK_NONBLOCK) CHECK_ERR(read(fd, &from, 1), EAGAIN);
      if (room) {
        CHECK_EQ(size, unix_socket ? 2 : (int)sizeof(struct sockaddr_in));  // an unnamed peer
        struct sockaddr_storage peer;
        socklen_t peer_size = sizeof peer;
        CHECK_OK(getpeername(fd, (struct sockaddr*)&peer, &peer_size));
        CHECK(memcmp(&peer, &from, room == 1 && size > 3 ? 3 : size) == 0);
        if (room == 1) CHECK_EQ(((unsigned char*)&from)[3], 0xee);
      }
      CHECK_OK(close(fd));
      join_thread(client);
    }
  CHECK_ERR(accept4(listener, NULL, NULL, 1 << 30), EINVAL);
  CHECK_OK(close(listener));
}

typedef struct {
  int listener;
  atomic_int* accepted;
} Acceptor;

static void* acceptor(void* arg) {
  Acceptor* a = arg;
  for (;;) {
    int fd = accept(a->listener, NULL, NULL);
    CHECK_OK(fd);
    char c;
    CHECK_EQ(read(fd, &c, 1), 1);
    CHECK_OK(close(fd));
    if (c == 'q') return NULL;
    atomic_fetch_add(a->accepted, 1);
  }
}

static void test_many(int unix_socket) {
  Server server;
  atomic_int accepted = 0;
  Acceptor a = {new_listener(&server, unix_socket, 64), &accepted};
  pthread_t threads[kAcceptors];
  for (int i = 0; i < kAcceptors; ++i) threads[i] = start_thread(acceptor, &a);
  for (int i = 0; i < kConnections + kAcceptors; ++i) {
    char end;
    int fd = connect_to(&server);
    CHECK_EQ(write(fd, i < kConnections ? "x" : "q", 1), 1);
    CHECK_EQ(read(fd, &end, 1), 0);
    CHECK_OK(close(fd));
  }
  for (int i = 0; i < kAcceptors; ++i) join_thread(threads[i]);
  CHECK_EQ(accepted, kConnections);
  CHECK_OK(close(a.listener));
}

static void* body(void* arg) {
  for (int i = 0; i < 2; ++i) {
    test_flags(i);
    test_many(i);
  }
  int pair[2];
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  CHECK_ERR(accept(pair[0], NULL, NULL), EINVAL);
  close_both(pair);
  CHECK_OK(pair[0] = socket(AF_INET, SOCK_STREAM, 0));
  CHECK_ERR(accept(pair[0], NULL, NULL), EINVAL);
  CHECK_OK(close(pair[0]));
  CHECK_OK(pair[0] = socket(AF_INET, SOCK_DGRAM, 0));
  CHECK_ERR(accept(pair[0], NULL, NULL), EOPNOTSUPP);
  CHECK_OK(close(pair[0]));
  CHECK_ERR(accept(-1, NULL, NULL), EBADF);
  CHECK_ERR(accept4(-1, NULL, NULL, 0), EBADF);
  int file = unnamed_file(0);
  CHECK_ERR(accept(file, NULL, NULL), ENOTSOCK);
  CHECK_ERR(accept4(file, NULL, NULL, SOCK_CLOEXEC), ENOTSOCK);
  CHECK_OK(close(file));
  return arg;
}

int main(void) {
  run_everywhere(3, body);
  return 0;
}
