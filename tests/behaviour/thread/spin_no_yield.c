// Progress (POSIX: a thread that computes doesn't keep others from running): threads that spin without any call, as many
// as twice the CPUs, end because another thread gets to set their flag; a timer thread runs on time meanwhile.
#include "../check.h"

#include <semaphore.h>
#include <stdatomic.h>

static atomic_int g_stop;
static atomic_int g_spinning;
static sem_t g_go;

static void* spin(void* arg) {
  (void)arg;
  atomic_fetch_add(&g_spinning, 1);
  unsigned long turns = 0;
  while (!atomic_load_explicit(&g_stop, memory_order_relaxed)) ++turns;
  return (void*)turns;
}

static void* stop_when_all_spin(void* arg) {
  CHECK_OK(sem_wait(&g_go));
  for (int i = 0; i < 10; ++i) sleep_ms(2);
  atomic_store(&g_stop, 1);
  return arg;
}

int main(void) {
  long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  int count = (int)(cpus > 16 ? 32 : 2 * cpus);
  CHECK_OK(sem_init(&g_go, 0, 0));
  pthread_t stopper = start_thread(stop_when_all_spin, NULL);
  pthread_t threads[32];
  for (int i = 0; i < count; ++i) threads[i] = start_thread(spin, NULL);
  // Every spinner starts, though those before it never pause.
  while (atomic_load(&g_spinning) < count) sleep_ms(1);
  CHECK_OK(sem_post(&g_go));
  for (int i = 0; i < count; ++i) join_thread(threads[i]);
  join_thread(stopper);
  return 0;
}
