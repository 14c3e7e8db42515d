// 1,000 threads that do nothing but sched_yield(2): each advances within 2 x of the mean. The kernel doesn't promise that: natively fewer
// threads, and only that each gets a share worth the name.
#include "../check.h"

#include <dlfcn.h>
#include <limits.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>

enum { kVirtual = 1000, kNative = 40, kEnough = 1000, kMs = 500, kLooks = 120 };

typedef struct {
  _Alignas(64) atomic_long turns;
} Count;
static Count g_counts[kVirtual];
static atomic_int g_go, g_stop;

static void* run(void* arg) {
  Count* mine = arg;
  while (!atomic_load_explicit(&g_go, memory_order_relaxed)) sched_yield();
  while (!atomic_load_explicit(&g_stop, memory_order_relaxed)) {
    sched_yield();
    atomic_fetch_add_explicit(&mine->turns, 1, memory_order_relaxed);
  }
  return arg;
}

int main(void) {
  int shim = dlsym(RTLD_DEFAULT, "vtshim_active") != NULL, n = shim ? kVirtual : kNative;
  double bound = shim ? 2 : 20;
  pthread_t threads[kVirtual];
  for (int i = 0; i < n; ++i) threads[i] = start_thread_with_stack(1 << 16, run, &g_counts[i]);
  atomic_store(&g_go, 1);
  // Until there is enough to compare: on a machine with other work, no time is enough by itself.
  long counts[kVirtual], least = 0, most = 0;
  double mean = 0;
  for (int look = 0; look < kLooks && (mean < kEnough || look < 4); ++look) {
    sleep_ms(kMs);
    mean = 0;
    least = LONG_MAX;
    most = 0;
    for (int i = 0; i < n; ++i) {
      counts[i] = atomic_load(&g_counts[i].turns);
      mean += (double)counts[i] / n;
      if (counts[i] < least) least = counts[i];
      if (counts[i] > most) most = counts[i];
    }
  }
  atomic_store(&g_stop, 1);
  for (int i = 0; i < n; ++i) join_thread(threads[i]);
  fprintf(stderr, "%d threads: mean %.0f, least %ld, most %ld\n", n, mean, least, most);
  CHECK(mean > 20);
  if ((double)least < mean / bound || (double)most > mean * bound)
    check_fail(__FILE__, __LINE__, 0, "least %ld and most %ld within %.0f x of the mean %.0f", least, most, bound, mean);
  return 0;
}
