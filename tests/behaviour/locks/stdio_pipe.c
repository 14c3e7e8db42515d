// printf into a full pipe with a slow reader: the writer holds the stream's lock in write(2) while others want the same stream and others
// use other streams. All lines arrive whole; who reads is a thread like the others, and uses stdio too.
#include "../check.h"

#include <stdatomic.h>

enum { kWriters = 6, kLines = 200, kOthers = 4, kLong = 600 };

static FILE *g_out, *g_in, *g_other;
static atomic_int g_others;

static void* writer(void* arg) {
  char text[kLong + 1];
  memset(text, 'a' + (int)(long)arg, kLong);
  text[kLong] = 0;
  for (int i = 0; i < kLines; ++i) CHECK_EQ(fprintf(g_out, "%03d %s\n", i, text), kLong + 5);
  return arg;
}

static void* reader(void* arg) {
  int next[kWriters] = {0}, total = 0;
  char line[kLong + 64];
  while (total < kWriters * kLines) {
    if (total % 16 == 0) usleep(1000);
    CHECK(fgets(line, sizeof line, g_in) != NULL);
    CHECK_EQ(strlen(line), kLong + 5);
    int who = line[4] - 'a', n = atoi(line);
    CHECK(who >= 0 && who < kWriters);
    CHECK_EQ(n, next[who]++);
    for (int i = 0; i < kLong; ++i) CHECK_EQ(line[4 + i], line[4]);
    ++total;
  }
  return arg;
}

static void* other(void* arg) {
  for (int i = 0; i < 300; ++i) {
    CHECK(fprintf(g_other, "%d\n", i) > 0);
    if (i % 10 == 0) usleep(300);
  }
  atomic_fetch_add(&g_others, 1);
  return arg;
}

int main(void) {
  int fds[2];
  CHECK_OK(pipe(fds));
  g_out = fdopen(fds[1], "w");
  g_in = fdopen(fds[0], "r");
  g_other = tmpfile();
  CHECK(g_out && g_in && g_other);
  pthread_t writers[kWriters], others[kOthers], r;
  for (long i = 0; i < kWriters; ++i) writers[i] = start_thread(writer, (void*)i);
  for (long i = 0; i < kOthers; ++i) others[i] = start_thread(other, (void*)i);
  for (int i = 0; i < kOthers; ++i) join_thread(others[i]);  // while the pipe is full and nobody reads
  CHECK_EQ(atomic_load(&g_others), kOthers);
  r = start_thread(reader, NULL);
  for (int i = 0; i < kWriters; ++i) join_thread(writers[i]);
  CHECK_EQ(fflush(g_out), 0);
  join_thread(r);
  return 0;
}
