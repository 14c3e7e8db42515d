// A terminal's other end is slow: read, fgets and tcdrain wait for it while others go on; reads that end by count and time, of which poll says
// something else; tcsetattr and ioctl that wait for the output; breaks.
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

static void set_raw(int fd, cc_t min, cc_t time) {
  struct termios t;
  CHECK_OK(tcgetattr(fd, &t));
  cfmakeraw(&t);
  t.c_cc[VMIN] = min;
  t.c_cc[VTIME] = time;
  CHECK_OK(tcsetattr(fd, TCSANOW, &t));
}

// VMIN and VTIME: termios(3), "Canonical and noncanonical mode".
static void by_count(int master, int slave) {
  char line[64];
  for (int i = 0; i < 4; ++i) {  // who misses several times isn't tried first any more
    set_raw(slave, 0, 0);
    CHECK_EQ(read(slave, line, sizeof line), 0);
    CHECK_EQ(write(master, "x", 1), 1);
    CHECK_EQ(read(slave, line, sizeof line), 1);
  }
  set_raw(slave, 0, 1);
  long long begun = now_ms();
  struct iovec parts[2] = {{line, 1}, {line + 1, 2}};
  CHECK_EQ(readv(slave, parts, 2), 0);
  CHECK(now_ms() - begun >= 90);
  set_raw(slave, 8, 0);
  CHECK_EQ(write(master, "ab", 2), 2);
  CHECK_EQ(read(slave, line, 2), 2);  // less than VMIN, but all that was asked for
  pthread_t typist = start_thread(type_late, &master);
  CHECK_EQ(read(slave, line, sizeof line), 8);
  CHECK(memcmp(line, "one\ntwo\n", 8) == 0);
  join_thread(typist);
  set_raw(slave, 1, 0);
  typist = start_thread(type_late, &master);
  CHECK_EQ(read(slave, line, 3), 3);
  CHECK_EQ(read(slave, line, sizeof line), 5);
  join_thread(typist);
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
  by_count(master, slave);
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
