// A hundred threads that wait in stdio, each in its own pipe and by one of many functions, while others go on; two threads on one stream;
// a stream's lock held across a sleep while another thread reads it; stdin and stdout; popen's streams; errors and their flags.
// stdio(3), flockfile(3), unlocked_stdio(3).
#include "../io/io.h"

#include <stdatomic.h>
#include <wchar.h>

enum { kThreads = 100, kLines = 20, kWays = 10 };

static FILE *ins[kThreads], *outs[kThreads];

static void read_line(int way, FILE* in, int expect) {
  char room[64], *line = room;
  size_t size = 0;
  int n = -1, c;
  wchar_t wide[64];
  switch (way) {
    case 0:
      CHECK(fgets(room, sizeof room, in) == room);
      break;
    case 1:
      line = NULL;
      CHECK_EQ(getline(&line, &size, in), 5);
      break;
    case 2:
      line = NULL;
      CHECK_EQ(getdelim(&line, &size, '\n', in), 5);
      break;
    case 3:
      CHECK_EQ(fread(room, 1, 5, in), 5);
      break;
    case 4:
      for (int i = 0; (c = getc(in)) != '\n'; ++i) {
        CHECK(c != EOF);
        room[i] = (char)c;
      }
      break;
    case 5:
      for (int i = 0; i < 5; ++i) room[i] = (char)fgetc(in);
      break;
    case 6:
      CHECK_EQ(fscanf(in, "%d", &n), 1);
      CHECK_EQ(getc(in), '\n');
      break;
    case 7:
      flockfile(in);
      for (int i = 0; i < 5; ++i) room[i] = (char)getc_unlocked(in);
      funlockfile(in);
      break;
    case 8:
      CHECK(fgetws(wide, 64, in) == wide);
      n = (int)wcstol(wide, NULL, 10);
      break;
    default:
      CHECK(fgets_unlocked(room, sizeof room, in) == room);
      break;
  }
  CHECK_EQ(n >= 0 ? n : atoi(line), expect);
  if (line != room) free(line);
}

static atomic_int lines;
static void* wait_for_lines(void* arg) {
  int me = (int)(long)arg;
  for (int i = 0; i < kLines; ++i) {
    read_line(me % kWays, ins[me], 1000 + me + i);
    atomic_fetch_add(&lines, 1);
  }
  return arg;
}

static void* go_on(void* arg) {
  for (int i = 0; i < 50; ++i) sleep_ms(1);
  return arg;
}

static void hundred(void) {
  pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; ++i) {
    int fds[2];
    CHECK_OK(i % 2 ? pipe(fds) : socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    CHECK((ins[i] = fdopen(fds[0], "r")) != NULL);
    CHECK((outs[i] = fdopen(fds[1], "w")) != NULL);
    threads[i] = start_thread(wait_for_lines, (void*)i);
  }
  join_thread(start_thread(go_on, NULL));  // all the others wait
  CHECK_EQ(atomic_load(&lines), 0);
  for (int i = 0; i < kLines; ++i)
    for (int t = 0; t < kThreads; ++t) {
      CHECK_EQ(fprintf(outs[t], "%d\n", 1000 + t + i), 5);
      if (i == 0 || i == kLines - 1) CHECK_EQ(fflush(outs[t]), 0);
    }
  for (int i = 0; i < kThreads; ++i) {
    join_thread(threads[i]);
    CHECK_EQ(fclose(outs[i]), 0);
    CHECK(i % kWays == 8 ? fgetwc(ins[i]) == WEOF : getc(ins[i]) == EOF);
    CHECK(feof(ins[i]) && !ferror(ins[i]));
    CHECK_EQ(fclose(ins[i]), 0);
  }
}

// ---------------------------------------------------------------- one stream, several threads

static FILE *shared_in, *shared_out;
static atomic_int seen[8], held;

static void* take_lines(void* arg) {
  char line[64];
  while (fgets(line, sizeof line, shared_in)) {
    CHECK_EQ(strlen(line), 3);
    CHECK_EQ(line[0], line[1]);
    atomic_fetch_add(&seen[line[0] - 'a'], 1);
  }
  return arg;
}

static void* give_lines(void* arg) {
  for (int i = 0; i < 100; ++i) {
    CHECK_EQ(fprintf(shared_out, "%c%c\n", 'a' + (int)(long)arg, 'a' + (int)(long)arg), 3);
    if (i % 16 == 0) sleep_ms(1);
    if (i % 10 == 0) CHECK_EQ(fflush(shared_out), 0);
  }
  return arg;
}

static void* hold(void* arg) {
  flockfile(shared_in);
  atomic_store(&held, 1);
  sleep_ms(20);
  CHECK_EQ(getc_unlocked(shared_in), '1');
  sleep_ms(5);
  CHECK_EQ(getc(shared_in), '2');
  atomic_store(&held, 0);
  funlockfile(shared_in);
  return arg;
}

static void shared(void) {
  int fds[2];
  pthread_t threads[12];
  CHECK_OK(pipe(fds));
  CHECK((shared_in = fdopen(fds[0], "r")) != NULL);
  CHECK((shared_out = fdopen(fds[1], "w")) != NULL);
  for (long i = 0; i < 4; ++i) threads[8 + i] = start_thread(take_lines, NULL);
  for (long i = 0; i < 8; ++i) threads[i] = start_thread(give_lines, (void*)i);
  for (int i = 0; i < 8; ++i) join_thread(threads[i]);
  CHECK_EQ(fclose(shared_out), 0);
  for (int i = 8; i < 12; ++i) join_thread(threads[i]);
  for (int i = 0; i < 8; ++i) CHECK_EQ(atomic_load(&seen[i]), 100);
  CHECK_EQ(fclose(shared_in), 0);

  CHECK_OK(pipe(fds));
  CHECK((shared_in = fdopen(fds[0], "r")) != NULL);
  pthread_t holder = start_thread(hold, NULL);
  while (!atomic_load(&held)) sched_yield();
  CHECK(ftrylockfile(shared_in) != 0);
  CHECK_EQ(write(fds[1], "123", 3), 3);
  CHECK_EQ(getc(shared_in), '3');  // waits for the holder
  CHECK_EQ(atomic_load(&held), 0);
  join_thread(holder);
  CHECK_EQ(fclose(shared_in), 0);
  CHECK_OK(close(fds[1]));
}

// ---------------------------------------------------------------- the standard streams, popen, errors

static void* type_late(void* arg) {
  sleep_ms(3);
  CHECK_EQ(write(*(int*)arg, "x 77 word\nlast\n", 15), 15);
  return arg;
}

static void* standard(void* arg) {
  int in[2], out[2], saved[2] = {dup(0), dup(1)}, n;
  char word[64], room[64];
  CHECK_OK(pipe(in));
  CHECK_OK(pipe(out));
  CHECK_OK(dup2(in[0], 0));
  CHECK_OK(dup2(out[1], 1));
  pthread_t typist = start_thread(type_late, &in[1]);
  CHECK_EQ(getchar(), 'x');
  CHECK_EQ(scanf("%d %63s", &n, word), 2);
  CHECK_EQ(n, 77);
  CHECK_STR(word, "word");
  CHECK_EQ(getchar(), '\n');
  CHECK(fgets(word, sizeof word, stdin) != NULL);
  join_thread(typist);
  CHECK(printf("%s %d\n", "a", 1) == 4 && puts("b") >= 0 && putchar('c') == 'c' && fwrite("d", 1, 1, stdout) == 1);
  CHECK_EQ(fflush(stdout), 0);
  CHECK_EQ(read(out[0], room, sizeof room), 8);
  CHECK(memcmp(room, "a 1\nb\ncd", 8) == 0);
  CHECK_OK(dup2(saved[0], 0));
  CHECK_OK(dup2(saved[1], 1));
  close_both(saved);
  close_both(in);
  close_both(out);

  FILE* child = popen("sleep 0.01; echo from a child; exit 3", "r");
  CHECK(child != NULL);
  CHECK(fgets(word, sizeof word, child) == word);
  CHECK_STR(word, "from a child\n");
  CHECK_EQ(WEXITSTATUS(pclose(child)), 3);

  CHECK_OK(pipe(in));
  CHECK_OK(close(in[0]));
  FILE* broken = fdopen(in[1], "w");
  CHECK(fputs("lost", broken) >= 0);
  CHECK_ERR(fflush(broken), EPIPE);
  CHECK(ferror(broken));
  CHECK_EQ(fclose(broken), 0);  // nothing is left to write
  CHECK_OK(pipe2(in, O_NONBLOCK));
  FILE* busy = fdopen(in[0], "r");
  CHECK_ERR(getc(busy), EAGAIN);
  CHECK(ferror(busy) && !feof(busy));
  CHECK_EQ(fclose(busy), 0);
  CHECK_OK(close(in[1]));

  FILE* file = tmpfile();  // offsets are kept
  CHECK(file != NULL);
  for (int i = 0; i < 5000; ++i) CHECK_EQ(fprintf(file, "%04d\n", i), 5);
  CHECK_EQ(ftell(file), 25000);
  CHECK_EQ(fseek(file, 5 * 4000, SEEK_SET), 0);
  CHECK_EQ(fscanf(file, "%d", &n), 1);
  CHECK_EQ(n, 4000);
  CHECK_EQ(ftell(file), 20004);
  CHECK_EQ(fseek(file, 0, SEEK_END), 0);
  CHECK(fputs("end\n", file) >= 0);
  CHECK_EQ(ftell(file), 25004);
  rewind(file);
  int count = 0;
  while (fgets(word, sizeof word, file)) ++count;
  CHECK_EQ(count, 5001);
  CHECK_EQ(fclose(file), 0);
  return arg;
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  hundred();
  shared();
  join_thread(start_thread(standard, NULL));
  standard(NULL);
  return 0;
}
