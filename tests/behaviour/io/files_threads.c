// One regular file, many threads: disjoint pwrites, O_APPEND records that stay whole, a shared position from which each
// record is taken once, and reads of pages that aren't in memory: full counts, like the kernel's own. read(2),
// write(2).
#include "io.h"

#include <stdatomic.h>

enum { kThreads = 16, kRecords = 50, kRecord = 500, kTotal = kThreads * kRecords };
static int fd;
static atomic_int seen[kTotal];

static void* write_own(void* arg) {
  char record[kRecord];
  long me = (long)arg;
  for (int i = 0; i < kRecords; ++i) {
    size_t at = ((size_t)me * kRecords + (size_t)i) * kRecord;
    fill_bytes(record, kRecord, at);
    CHECK_EQ(pwrite(fd, record, kRecord, (off_t)at), kRecord);
  }
  return NULL;
}

static void* append(void* arg) {
  char record[kRecord];
  long me = (long)arg;
  for (int i = 0; i < kRecords; ++i) {
    int number = (int)me * kRecords + i;
    memset(record, number % 251, kRecord);
    memcpy(record, &number, sizeof number);
    struct iovec two[2] = {{record, 100}, {record + 100, kRecord - 100}};
    CHECK_EQ(i % 2 ? write(fd, record, kRecord) : writev(fd, two, 2), kRecord);
  }
  return NULL;
}

static void* take(void* arg) {
  char record[kRecord];
  ssize_t n;
  while ((n = read(fd, record, kRecord)) > 0) {
    int number;
    CHECK_EQ(n, kRecord);
    memcpy(&number, record, sizeof number);
    CHECK(number >= 0 && number < kTotal);
    for (size_t k = sizeof number; k < kRecord; ++k) CHECK_EQ((unsigned char)record[k], number % 251);
    CHECK_EQ(atomic_fetch_add(&seen[number], 1), 0);
  }
  CHECK_EQ(n, 0);
  return arg;
}

static void on_all(void* (*run)(void*)) {
  pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; ++i) threads[i] = start_thread(run, (void*)i);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
}

// Pages are thrown out, a few come back: a read that finds the rest missing still returns everything.
static void* read_cold(void* arg) {
  enum { kSize = kTotal * kRecord };
  unsigned char* buffer = malloc(kSize);
  int mine = unnamed_file(0);
  fill_bytes(buffer, kSize, 0);
  CHECK_EQ(write(mine, buffer, kSize), kSize);
  CHECK_OK(fsync(mine));
  for (int round = 0; round < 6; ++round) {
    CHECK_RC(posix_fadvise(mine, 0, 0, POSIX_FADV_DONTNEED), 0);
    CHECK_RC(posix_fadvise(mine, 0, 0, POSIX_FADV_RANDOM), 0);
    CHECK_EQ(pread(mine, buffer, 3 * 4096, 0), 3 * 4096);
    memset(buffer, 0, kSize);
    CHECK_OK(lseek(mine, 4096, SEEK_SET));
    struct iovec two[2] = {{buffer + 4096, 50000}, {buffer + 54096, kSize - 54096}};
    ssize_t n = 0;
    switch (round) {
      case 0:
        n = read(mine, buffer + 4096, kSize - 4096);
        break;
      case 1:
        n = pread(mine, buffer + 4096, kSize - 4096, 4096);
        break;
      case 2:
        n = readv(mine, two, 2);
        break;
      case 3:
        n = preadv(mine, two, 2, 4096);
        break;
      case 4:
        n = preadv2(mine, two, 2, 4096, 0);
        break;
      case 5:
        n = preadv2(mine, two, 2, -1, 0);
        break;
    }
    CHECK_EQ(n, kSize - 4096);
    for (size_t k = 4096; k < kSize; k += 1 + k % 37) CHECK_EQ(buffer[k], byte_at(k));
    CHECK_EQ(lseek(mine, 0, SEEK_CUR), round % 5 == 0 || round == 2 ? kSize : 4096);
  }
  CHECK_OK(close(mine));
  free(buffer);
  return arg;
}

int main(void) {
  fd = unnamed_file(0);
  on_all(write_own);
  static char whole[kTotal * kRecord];
  CHECK_EQ(pread(fd, whole, sizeof whole, 0), (ssize_t)sizeof whole);
  check_bytes(whole, sizeof whole, 0);
  CHECK_OK(close(fd));

  fd = unnamed_file(O_APPEND);
  on_all(append);
  CHECK_EQ(lseek(fd, 0, SEEK_END), (off_t)sizeof whole);
  CHECK_OK(lseek(fd, 0, SEEK_SET));
  on_all(take);
  for (int i = 0; i < kTotal; ++i) CHECK_EQ(seen[i], 1);
  CHECK_OK(close(fd));

  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) threads[i] = start_thread(read_cold, NULL);
  for (int i = 0; i < 4; ++i) join_thread(threads[i]);
  read_cold(NULL);
  return 0;
}
