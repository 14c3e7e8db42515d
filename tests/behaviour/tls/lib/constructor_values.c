// A library whose constructor finds its static TLS as it should be and changes it, changes the process's ids, forks, and opens another library.
// For constructor_values.c.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static __attribute__((tls_model("initial-exec"))) __thread int t_value = 77;
static __attribute__((tls_model("initial-exec"))) __thread const char* t_text = "text";
static int g_good;
int constructor_values_good(void);

static void* check(void* arg) {
  *(int*)arg = t_value == 77 && strcmp(t_text, "text") == 0;
  t_value = 1;
  return arg;
}

static int in_another(void) {
  int good = 0;
  pthread_t thread;
  return pthread_create(&thread, 0, check, &good) == 0 && pthread_join(thread, 0) == 0 && good;
}

__attribute__((constructor)) static void init(void) {
  int found = 0, status = 1;
  check(&found);
  t_value = 5;
  t_text = "changed";
  if (setuid(getuid()) != 0 || !in_another()) return;
  Dl_info info;
  char path[4096];
  if (dladdr((void*)constructor_values_good, &info) == 0 || strlen(info.dli_fname) > sizeof path - 100) return;
  strcpy(path, info.dli_fname);
  strcpy(strrchr(path, '/') + 1, "libtls_static_image.so");
  void* other = dlopen(path, RTLD_NOW);
  if (!other) return;
  pid_t pid = fork();
  if (pid == 0) _exit(t_value == 5 && in_another() ? 9 : 1);
  if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 9) return;
  dlclose(other);
  g_good = found;
}

// What the calling thread has, 100 more if all was well in the constructor.
int constructor_values_good(void) { return g_good * 100 + t_value + (strcmp(t_text, "changed") == 0); }
