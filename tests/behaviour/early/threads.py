"""A library whose constructor runs before the shim's installs a handler and fork handlers and starts a thread, which goes on in main: all as natively. The library's
mutex, which its fork handlers take, is held by that thread while it sleeps; so the handlers must be able to wait. And where gcc has it, AddressSanitizer
first, which calls sigaction before anything else, the shim behind it."""
import os, subprocess, sys, tempfile
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
LIB = os.path.join(TOP, "build", "libvtshim.so")
PLAIN = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
preload = [LIB] if os.environ.get("LD_PRELOAD") else []
LIBRARY = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_t thread;
static atomic_int stop;
int signals, initialized, held;
static void on_signal(int s) { (void)s; ++signals; }
static void initialize(void) { ++initialized; }
static void *body(void *p) {
  while (!atomic_load(&stop)) {
    pthread_mutex_lock(&mutex);
    usleep(1000);
    held = 1;
    pthread_cond_signal(&cond);
    pthread_mutex_unlock(&mutex);
    usleep(50);
  }
  return p;
}
static void take(void) { if (pthread_mutex_lock(&mutex)) abort(); }
static void give(void) { if (pthread_mutex_unlock(&mutex)) abort(); }
__attribute__((constructor)) static void first(void) {
  struct sigaction action = {.sa_handler = on_signal};
  if (sigaction(SIGUSR1, &action, NULL) || pthread_atfork(take, give, give)) abort();
  if (pthread_once(&once, initialize) || pthread_create(&thread, NULL, body, &mutex)) abort();
  pthread_mutex_lock(&mutex);
  while (!held) pthread_cond_wait(&cond, &mutex);
  pthread_mutex_unlock(&mutex);
}
int finish(void) {
  void *got;
  atomic_store(&stop, 1);
  return pthread_join(thread, &got) || got != &mutex || pthread_once(&once, initialize) || initialized != 1;
}
"""
PROGRAM = r"""
#define _GNU_SOURCE
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
extern int signals;
int finish(void);
int main(void) {
  for (int i = 0; i < 50; ++i) {
    pid_t pid = fork();
    if (pid == 0) _exit(7);
    int status;
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 7) return 1;
  }
  raise(SIGUSR1);
  kill(getpid(), SIGUSR1);
  while (signals < 2) usleep(100);
  return finish() ? 2 : 0;
}
"""
ASAN = r"""
#include <pthread.h>
#include <stdlib.h>
static void *body(void *p) { return malloc(*(int *)p); }
int main(void) {
  for (int i = 1; i < 50; ++i) {
    pthread_t t;
    void *p;
    if (pthread_create(&t, NULL, body, &i) || pthread_join(t, &p)) return 1;
    free(p);
  }
  return 0;
}
"""


def compile(folder, name, text, *flags):
    out = os.path.join(folder, name)
    subprocess.run(["gcc", "-g", "-O1", "-Wall", "-Werror", "-pthread", "-x", "c", "-", "-o", out, *flags], input=text, text=True, check=True, env=PLAIN)
    return out


def run(program, libraries, **more):
    env = {**PLAIN, **more, **({"LD_PRELOAD": ":".join(libraries)} if libraries else {})}
    r = subprocess.run([program], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if r.returncode: sys.exit(f"{program} with {libraries} {more}: {r.returncode}: {r.stdout}")


with tempfile.TemporaryDirectory() as folder:
    compile(folder, "libearly.so", LIBRARY, "-shared", "-fPIC")
    program = compile(folder, "program", PROGRAM, "-L" + folder, "-learly", "-Wl,-rpath," + folder)
    run(program, preload)
    run(program, preload, VTSHIM_THREADS="none")
    asan = subprocess.run(["gcc", "-print-file-name=libasan.so"], stdout=subprocess.PIPE, text=True, env=PLAIN).stdout.strip()
    if os.path.exists(asan):
        run(compile(folder, "sanitized", ASAN, "-fsanitize=address"), [os.path.realpath(asan), *preload])
