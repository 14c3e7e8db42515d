// pthread_create(3), pthread_join(3): 20,000 threads in batches of 100; nothing runs out and the resident memory
// doesn't grow with the number of threads that have ended.
#include "../check.h"

enum { kBatches = 200, kBatch = 100, kTouched = 16 * 1024 };

static void* run(void* arg) {
  volatile char used[kTouched];  // a leak of stacks would show: 20,000 x 16 KiB = 320 MB
  for (int i = 0; i < kTouched; i += 4096) used[i] = 1;
  return (void*)((long)arg + used[0]);
}

static long resident_kib(void) {
  FILE* file = fopen("/proc/self/statm", "r");
  CHECK(file != NULL);
  long size;
  long resident;
  CHECK_EQ(fscanf(file, "%ld %ld", &size, &resident), 2);
  CHECK_EQ(fclose(file), 0);
  return resident * 4;
}

int main(void) {
  long before = 0;
  for (int batch = 0; batch < kBatches; ++batch) {
    pthread_t threads[kBatch];
    for (long i = 0; i < kBatch; ++i) threads[i] = start_thread_with_stack(256 * 1024, run, (void*)i);
    for (long i = 0; i < kBatch; ++i) CHECK_EQ((long)join_thread(threads[i]), i + 1);
    if (batch == kBatches / 10) before = resident_kib();
  }
  CHECK(resident_kib() < before + 64 * 1024);
  return 0;
}
