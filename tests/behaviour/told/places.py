"""What the library sees by itself where it can't work, or where much is missing: under valgrind threads are native, and one line says so; without /proc all works."""
import os, shutil, subprocess, sys, tempfile
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
LIB = os.path.join(TOP, "build", "libvtshim.so")
LOADER, LIBC = "/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6"
SHIMMED = bool(os.environ.get("LD_PRELOAD"))
SETTINGS = {k: v for k, v in os.environ.items() if k.startswith("VTSHIM_") and not k.startswith("VTSHIM_TEST_")}
PLAIN = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD" and k not in SETTINGS}
PROGRAM = r"""
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static int pair[2], unannounced[2];
static unsigned word;
static volatile int stop;
static void *echo(void *p) { char c; while (read(pair[0], &c, 1) == 1 && write(pair[0], &c, 1) == 1) {} return p; }
static void *spin(void *p) { while (!stop) {} return p; }
static void *wait_for_word(void *p) { while (!__atomic_load_n(&word, __ATOMIC_SEQ_CST)) syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0); return p; }
static void *block(void *p) {
  char c;
  long r;
  __asm__ volatile("syscall" : "=a"(r) : "a"(SYS_read), "D"(unannounced[0]), "S"(&c), "d"(1) : "rcx", "r11", "memory");
  return r == 1 ? p : NULL;
}
int main(void) {
  void *(*bodies[])(void *) = {echo, spin, wait_for_word, block, block, spin};
  enum { kCount = sizeof bodies / sizeof *bodies };
  pthread_t threads[kCount], last;
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || pipe(unannounced)) return 1;
  for (int i = 0; i < kCount; ++i) if (pthread_create(&threads[i], NULL, bodies[i], &word)) return 2;
  for (int i = 0; i < 200; ++i) { char c = 'a'; if (write(pair[1], &c, 1) != 1 || read(pair[1], &c, 1) != 1) return 3; }
  __atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
  syscall(SYS_futex, &word, FUTEX_WAKE, 1);
  if (write(unannounced[1], "ab", 2) != 2) return 4;
  stop = 1;
  shutdown(pair[1], SHUT_RDWR);
  for (int i = 0; i < kCount; ++i) { void *got; if (pthread_join(threads[i], &got) || got != &word) return 5; }
  pid_t pid = fork();
  if (pid == 0) { if (pthread_create(&last, NULL, spin, NULL) || pthread_join(last, NULL)) _exit(6); _exit(7); }
  int status;
  if (waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 7) return 8;
  return 9;
}
"""


def run(argv, **env):
    return subprocess.run(argv, env={**PLAIN, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


with tempfile.TemporaryDirectory() as folder:
    os.makedirs(folder + "/lib")
    program = os.path.join(folder, "program")
    subprocess.run(["gcc", "-O1", "-g", "-Wall", "-Werror", "-pthread", "-x", "c", "-", "-o", program], input=PROGRAM, text=True, check=True, env=PLAIN)
    for file in (LOADER, LIBC, LIB): shutil.copy(file, folder + "/lib")
    if os.geteuid() == 0:
        preload = ["--preload", "/lib/libvtshim.so"] if SHIMMED else []
        r = run(["chroot", folder, "/lib/ld-linux-x86-64.so.2", "--library-path", "/lib", *preload, "/program"], **SETTINGS)
        lines = [line for line in r.stderr.splitlines() if "VTSHIM_TLS=swap: needs /proc" not in line]
        assert r.returncode == 9 and not lines, r
    if shutil.which("valgrind"):
        # As a user would: the library is loaded into valgrind's own launcher, too. valgrind runs one thread at a time, in turn.
        r = run(["valgrind", "-q", "--fair-sched=yes", "--log-file=/dev/null", program], **({"LD_PRELOAD": LIB, **SETTINGS} if SHIMMED else {}))
        assert r.returncode == 9, r
        if SHIMMED: assert r.stderr.startswith("vtshim: threads stay native: under valgrind") and r.stderr.count("\n") == 1, r
