// closefrom(3), close_range(2), and loops of close(2) over all that there may be, as daemons do, with threads alive: they go on, those that
// wait for each other and those that read what is opened afterwards.
#include "../check.h"

#include <semaphore.h>
#include <sys/syscall.h>

static sem_t ping, pong;
static int descriptors[2];

static void* answer(void* arg) {
  for (int i = 0; i < 3; ++i) {
    CHECK_OK(sem_wait(&ping));
    char c;
    CHECK_EQ(read(descriptors[0], &c, 1), 1);
    CHECK_EQ(c, 'x');
    CHECK_OK(sem_post(&pong));
  }
  return arg;
}

static void exchange(void) {
  CHECK_OK(pipe(descriptors));
  CHECK_OK(sem_post(&ping));
  sleep_ms(2);
  CHECK_OK(write(descriptors[1], "x", 1));
  CHECK_OK(sem_wait(&pong));
}

static void* close_all(void* arg) {
  closefrom(3);
  exchange();
  CHECK_EQ(descriptors[0], 3);
  CHECK_OK(close_range(3, ~0u, 0));
  exchange();
  for (int fd = 3; fd < 2000; ++fd) close(fd);
  CHECK_ERR(close(1999), EBADF);
  exchange();
  return arg;
}

int main(void) {
  CHECK_OK(sem_init(&ping, 0, 0));
  CHECK_OK(sem_init(&pong, 0, 0));
  pthread_t other = start_thread(answer, NULL);
  join_thread(start_thread(close_all, NULL));
  join_thread(other);
  return 0;
}
