// libc's asynchronous I/O: aio_suspend waits for a pipe's data, lio_listio for all, getaddrinfo_a and gai_suspend for names, while others
// go on. aio(7), lio_listio(3), getaddrinfo_a(3).
#include "io.h"

#include <aio.h>
#include <netdb.h>

static void* late(void* arg) {
  sleep_ms(3);
  CHECK_EQ(write(*(int*)arg, "abcd", 4), 4);
  return NULL;
}

static void suspend(int wide) {
  int fds[2];
  char room[4];
  CHECK_OK(pipe(fds));
  struct aiocb one = {.aio_fildes = fds[0], .aio_buf = room, .aio_nbytes = sizeof room};
  struct aiocb64 one64 = {.aio_fildes = fds[0], .aio_buf = room, .aio_nbytes = sizeof room};
  struct timespec soon = {0, 5000000};
  CHECK_OK(wide ? aio_read64(&one64) : aio_read(&one));
  const struct aiocb* list[] = {NULL, &one};
  const struct aiocb64* list64[] = {NULL, &one64};
  CHECK_ERR(wide ? aio_suspend64(list64, 2, &soon) : aio_suspend(list, 2, &soon), EAGAIN);
  pthread_t writer = start_thread(late, &fds[1]);
  CHECK_OK(wide ? aio_suspend64(list64, 2, NULL) : aio_suspend(list, 2, NULL));
  CHECK_EQ(wide ? aio_error64(&one64) : aio_error(&one), 0);
  CHECK_EQ(wide ? aio_return64(&one64) : aio_return(&one), 4);
  CHECK(memcmp(room, "abcd", 4) == 0);
  join_thread(writer);
  close_both(fds);
}

static void list(int wide) {
  char bytes[2][100], again[100];
  int file = unnamed_file(0);
  fill_bytes(bytes, sizeof bytes, 0);
  struct aiocb ops[2], *p[] = {&ops[0], NULL, &ops[1]};
  struct aiocb64 ops64[2], *p64[] = {&ops64[0], NULL, &ops64[1]};
  memset(ops, 0, sizeof ops);
  memset(ops64, 0, sizeof ops64);
  for (int i = 0; i < 2; ++i) {
    ops[i].aio_fildes = ops64[i].aio_fildes = file;
    ops[i].aio_buf = ops64[i].aio_buf = bytes[i];
    ops[i].aio_nbytes = ops64[i].aio_nbytes = 100;
    ops[i].aio_offset = ops64[i].aio_offset = 100 * i;
    ops[i].aio_lio_opcode = ops64[i].aio_lio_opcode = LIO_WRITE;
  }
  CHECK_OK(wide ? lio_listio64(LIO_WAIT, p64, 3, NULL) : lio_listio(LIO_WAIT, p, 3, NULL));
  for (int i = 0; i < 2; ++i) {
    CHECK_EQ(wide ? aio_return64(&ops64[i]) : aio_return(&ops[i]), 100);
    CHECK_EQ(pread(file, again, 100, 100 * i), 100);
    check_bytes(again, 100, (size_t)(100 * i));
  }
  CHECK_ERR(wide ? lio_listio64(77, p64, 3, NULL) : lio_listio(77, p, 3, NULL), EINVAL);
  CHECK_OK(close(file));
}

static void names(void) {
  struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_family = AF_INET};
  struct gaicb one = {.ar_name = "127.0.0.1", .ar_request = &hints}, two = {.ar_name = "localhost"}, *p[] = {&one, &two};
  CHECK_EQ(getaddrinfo_a(GAI_WAIT, p, 2, NULL), 0);
  CHECK_EQ(gai_error(&one), 0);
  CHECK_EQ(gai_error(&two), 0);
  freeaddrinfo(one.ar_result);
  freeaddrinfo(two.ar_result);
  CHECK_EQ(getaddrinfo_a(GAI_NOWAIT, p, 2, NULL), 0);
  for (int i = 0; i < 2; ++i) {
    const struct gaicb* wait[] = {p[i]};
    while (gai_error(p[i]) == EAI_INPROGRESS) {
      int r = gai_suspend(wait, 1, NULL);
      CHECK(r == 0 || r == EAI_ALLDONE);
    }
    CHECK_EQ(gai_error(p[i]), 0);
    freeaddrinfo(p[i]->ar_result);
  }
  CHECK_EQ(gai_suspend((const struct gaicb* const[]){NULL}, 1, NULL), EAI_ALLDONE);
}

static void* body(void* arg) {
  for (int wide = 0; wide < 2; ++wide) {
    suspend(wide);
    list(wide);
  }
  names();
  return arg;
}

int main(void) {
  run_everywhere(4, body);
  return 0;
}
