// A library whose constructor creates threads and waits for them, by join, by a semaphore and in the kernel; its TLS has its initial values in all of
// them. For threads_init.c; it may also be preloaded.
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

static __attribute__((tls_model("initial-exec"))) __thread int t_value = 77;
static __thread int t_dynamic = 78;
static int g_good, g_pipe[2];
static sem_t g_sem;
int threads_init_good(void);

static void* body(void* arg) {
  int good = t_value == 77 && t_dynamic == 78;
  t_value = t_dynamic = 0;
  usleep(500);
  if (good && t_value == 0) __atomic_fetch_add(&g_good, 1, __ATOMIC_RELAXED);
  sem_post(&g_sem);
  if (write(g_pipe[1], "x", 1) != 1) return 0;
  return arg;
}

__attribute__((constructor)) static void init(void) {
  pthread_t threads[8];
  char c;
  sem_init(&g_sem, 0, 0);
  if (pipe(g_pipe) != 0) return;
  for (long i = 0; i < 8; ++i)
    if (pthread_create(&threads[i], 0, body, (void*)(i + 1)) != 0) return;
  for (int i = 0; i < 8; ++i) sem_wait(&g_sem);
  for (int i = 0; i < 8; ++i)
    if (read(g_pipe[0], &c, 1) != 1) return;
  for (long i = 0; i < 8; ++i) {
    void* result;
    if (pthread_join(threads[i], &result) != 0 || (long)result != i + 1) return;
  }
  close(g_pipe[0]);
  close(g_pipe[1]);
}

int threads_init_good(void) { return g_good; }
