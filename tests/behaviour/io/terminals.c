// A terminal's other end is slow: read, fgets and tcdrain wait for it while others go on; tcsetattr and ioctl that wait for the output; breaks.
// pty(7), tcdrain(3), termios(3), ioctl_tty(2).
#include "io.h"

#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>

static void* type_late(void* arg) {
  sleep_ms(3);
  CHECK_EQ(write(*(int*)arg, "one\ntwo\n", 8), 8);
  return NULL;
}

static void* body(void* arg) {
  int master = posix_openpt(O_RDWR | O_NOCTTY);
  char name[64], line[64];
  struct termios t;
  CHECK_OK(master);
  CHECK_OK(grantpt(master));
  CHECK_OK(unlockpt(master));
  CHECK_RC(ptsname_r(master, name, sizeof name), 0);
  int slave = open(name, O_RDWR | O_NOCTTY);
  CHECK_OK(slave);
  CHECK_OK(tcgetattr(slave, &t));
  t.c_lflag &= ~(tcflag_t)ECHO;
  t.c_oflag &= ~(tcflag_t)OPOST;
  CHECK_OK(tcsetattr(slave, TCSANOW, &t));
  CHECK_OK(tcsetattr(slave, TCSADRAIN, &t));
  pthread_t typist = start_thread(type_late, &master);
  CHECK_EQ(read(slave, line, sizeof line), 4);
  CHECK(memcmp(line, "one\n", 4) == 0);
  FILE* in = fdopen(slave, "r+");
  CHECK(fgets(line, sizeof line, in) == line);
  CHECK_STR(line, "two\n");
  join_thread(typist);
  typist = start_thread(type_late, &master);
  CHECK(fgets(line, sizeof line, in) == line);
  CHECK_STR(line, "one\n");
  CHECK(fgets(line, sizeof line, in) == line);
  CHECK_STR(line, "two\n");
  join_thread(typist);
  CHECK_EQ(write(slave, "out", 3), 3);
  CHECK_OK(tcdrain(slave));
  CHECK_OK(ioctl(slave, TCSBRK, 1));
  CHECK_OK(tcsendbreak(slave, 0));
  CHECK_OK(tcsetattr(slave, TCSAFLUSH, &t));
  CHECK_EQ(read(master, line, sizeof line), 3);
  CHECK_ERR(tcdrain(-1), EBADF);
  CHECK_ERR(tcsetattr(slave, 77, &t), EINVAL);
  int fds[2];
  CHECK_OK(pipe(fds));
  CHECK_ERR(tcdrain(fds[0]), ENOTTY);
  CHECK_ERR(tcsendbreak(fds[0], 0), ENOTTY);
  CHECK_ERR(ioctl(fds[0], TCSBRK, 1), ENOTTY);
  close_both(fds);
  CHECK_EQ(fclose(in), 0);
  CHECK_OK(close(master));
  return arg;
}

int main(void) {
  run_everywhere(4, body);
  return 0;
}
