// Issue 3, proof 2: `while (!flag);` ends though the thread that sets the flag is queued behind who spins: behind one, and behind as many as
// CPUs + 4, which are all created before it, by main or by a worker that then spins itself. Prints the longest that it took.
#include "../check.h"

#include <stdatomic.h>
#include <sys/sysinfo.h>

enum { kRounds = 8 };

static atomic_int g_flag;

static void* spin(void* arg) {
  while (!atomic_load_explicit(&g_flag, memory_order_relaxed)) {
  }
  return arg;
}

static void* set(void* arg) {
  atomic_store(&g_flag, 1);
  return arg;
}

static void* create_and_spin(void* arg) {
  long spinners = (long)arg;
  pthread_t threads[spinners];
  for (long i = 0; i + 1 < spinners; ++i) threads[i] = start_thread(spin, NULL);
  threads[spinners - 1] = start_thread(set, NULL);
  spin(NULL);
  for (long i = 0; i < spinners; ++i) join_thread(threads[i]);
  return arg;
}

int main(void) {
  long most = get_nprocs() + 4;
  long long longest = 0;
  for (int round = 0; round < kRounds; ++round) {
    long spinners = round % 2 ? most : 1;
    atomic_store(&g_flag, 0);
    long long begun = now_ms();
    if (round / 2 % 2) create_and_spin((void*)spinners);  // main spins
    else join_thread(start_thread(create_and_spin, (void*)spinners));
    long long took = now_ms() - begun;
    if (took > longest) longest = took;
  }
  printf("%ld spinners: at most %lld ms\n", most, longest);
  return 0;
}
