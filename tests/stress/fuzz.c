// Calls interposed functions (fuzz.def) with arguments drawn from a seed: wrong pointers, descriptors, sizes, flags, times and states. A plain
// program that knows nothing of vtshim: fuzz.py runs it natively and under the shim and compares what it prints, a line for each call.
//
//   fuzz --seed S --calls N [--from A] [--only NAME]     the calls A to N
//
// Calls are made in children, some hundred in each, on a worker or on main beside one, so that a crash (which may be right: libc, too, touches wrong
// pointers) ends no more than that; the next child goes on behind it. What a call gets depends on the seed and its number alone, and nothing
// that it gets makes a correct call wait for long. Objects and memory are as new for each call.
#define _GNU_SOURCE
#include "fuzz_draw.h"

// ---------------------------------------------------------------- the table

typedef long (*Draw)(void);
typedef struct {
  const char* name;
  const char* kind;  // of the result: i int, l long, e error number, v nothing, p pointer, f a new descriptor, c a child; capital: and memory as it was left
  Draw arguments[kMaxArgs];
  long (*function)(long, long, long, long, long, long, long);
} Row;
static Row rows[] = {
#define FUZZ(name, kind, ...) {#name, #kind, {__VA_ARGS__}, NULL},
#define CALL(number)
#include "fuzz.def"
#undef FUZZ
};
enum { kRows = sizeof rows / sizeof *rows };

typedef struct {
  long result;
  int error, signal, done;
  uint32_t memory;
} Record;
static Record* records;
static const char* only;

static const Row* prepare(uint64_t seed, long number, long (*a)[kMaxArgs]) {
  state = seed * 0x2545f4914f6cdd1dull + (uint64_t)number * 0x9e3779b97f4a7c15ull;
  draw();
  const Row* row;
  do row = &rows[below(kRows)];
  while (only && strcmp(row->name, only));
  fresh_arena();
  mutex_used = NULL;
  for (int i = 0; i < kMaxArgs; ++i) (*a)[i] = row->arguments[i] ? row->arguments[i]() : 0;
  return row;
}

static uint32_t hash(const char* p, size_t n) {
  uint32_t h = 2166136261u;
  for (size_t i = 0; i < n; ++i) h = (h ^ (unsigned char)p[i]) * 16777619u;
  return h;
}

static void call(uint64_t seed, long number) {
  long a[kMaxArgs];
  const Row* row = prepare(seed, number, &a);
  Record* r = &records[number];
  shared->current = number;
  if (!row->function) {
    r->done = 1;
    return;
  }
  errno = 0;
  long result = row->function(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
  int error = errno;
  char kind = (char)(*row->kind | 32);
  if (kind == 'i' || kind == 'e' || kind == 'f' || kind == 'c') result = (int)result;
  if (kind == 'f' && result >= 0) close((int)result), result = 0;
  if ((kind == 'p' && result) || (kind == 'c' && result > 0)) result = 1;
  if (kind == 'v') result = 0;
  r->result = result;
  r->error = kind == 'v' || kind == 'e' || kind == 'p' || result != -1 ? 0 : error;
  r->memory = *row->kind < 'a' ? hash(buf, kPage) ^ hash(slots, 2048) : 0;
  r->done = 1;
  // What it may have changed that isn't as new by itself. A child that was made is dead for sure when a later call asks without waiting.
  if (row->kind[0] == 'e' && result == 0 && strncmp(row->name, "posix_spawn", 11) == 0 && (row->name[11] == 0 || row->name[11] == 'p')) {
    siginfo_t dead;
    syscall(SYS_waitid, P_PID, *(pid_t*)a[0], &dead, WEXITED | WNOWAIT, NULL);
  }
  if (mutex_used && (mutex_used->__data.__kind & (16 | 32 | 64))) pthread_mutex_unlock(mutex_used);
  for (int i = kPipeR; locked && i < kLast; ++i) syscall(SYS_flock, i, LOCK_UN);
  locked = false;
  pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
  pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL);
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static struct { uint64_t seed; long from, to; } batch;
static void* run_batch(void* arg) {
  hold_mine();
  for (long i = batch.from; i < batch.to; ++i) call(batch.seed, i);
  return arg;
}
static void child(void) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGUSR1, SIG_IGN);
  signal(SIGUSR2, SIG_IGN);
  make_descriptors();
  make_objects();
  if (batch.from / kBatch % 3 == 0) {  // main, beside the peer
    run_batch(NULL);
  } else {
    pthread_t worker;
    MUST(pthread_create(&worker, NULL, run_batch, NULL) == 0 && pthread_join(worker, NULL) == 0);
  }
  _exit(0);
}

// ---------------------------------------------------------------- the parent

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run_from(uint64_t seed, long from, long to) {
  batch.seed = seed;
  batch.from = from;
  batch.to = to;
  shared->current = from;
  pid_t pid = fork();
  MUST(pid >= 0);
  if (pid == 0) child();
  int status, signal = 0;
  long seen = from;
  double since = now();
  while (waitpid(pid, &status, WNOHANG) == 0) {
    nanosleep(&(struct timespec){0, 500000}, NULL);
    if (shared->current != seen) seen = shared->current, since = now();
    if (now() - since < patience) continue;
    if (getenv("FUZZ_STOP")) fprintf(stderr, "fuzz: pid %d hangs in call %ld\n", pid, seen), pause();
    kill(pid, SIGKILL);
    MUST(waitpid(pid, &status, 0) == pid);
    signal = -1;
    break;
  }
  if (!signal && WIFSIGNALED(status)) signal = WTERMSIG(status);
  if (!signal && WEXITSTATUS(status)) fprintf(stderr, "fuzz: a child failed with %d\n", WEXITSTATUS(status)), exit(1);
  if (signal) records[shared->current].signal = signal;
}

static void print(uint64_t seed, long number) {
  long a[kMaxArgs];
  const Row* row = prepare(seed, number, &a);
  const Record* r = &records[number];
  printf("%ld %s(", number, row->name);
  int n = kMaxArgs;
  while (n && !row->arguments[n - 1]) --n;
  for (int i = 0; i < n; ++i) {
    // Addresses in the program and on libc's heap differ from run to run.
    bool moves = a[i] > UINT32_MAX && ((char*)a[i] < kArena || (char*)a[i] > kArena + (1 << 20)) && a[i] < (long)1 << 47;
    if (moves) printf("%s-", i ? ", " : "");
    else printf(a[i] < 10000 && a[i] > -10000 ? "%s%ld" : "%s%#lx", i ? ", " : "", a[i]);
  }
  if (r->signal) printf(") %s\n", r->signal < 0 ? "HANGS" : sigabbrev_np(r->signal));
  else printf(") = %ld %s %08x%s\n", r->result, r->error ? strerrorname_np(r->error) : "-", r->memory, row->function ? "" : " (no such function)");
}

int main(int argc, char** argv) {
  uint64_t seed = 1;
  long calls = 10000, from = 0;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!strcmp(argv[i], "--seed")) seed = strtoull(argv[i + 1], NULL, 10);
    else if (!strcmp(argv[i], "--calls")) calls = atol(argv[i + 1]);
    else if (!strcmp(argv[i], "--from")) from = atol(argv[i + 1]);
    else if (!strcmp(argv[i], "--patience")) patience = atof(argv[i + 1]);
    else if (!strcmp(argv[i], "--only")) only = argv[i + 1];
  }
  make_arena();
  snprintf(folder, sizeof folder, "/tmp/vtshim-fuzz-%d", (int)getpid());
  MUST(mkdir(folder, 0700) == 0);
  for (int i = 0; i < kRows; ++i) {
    void* f = dlsym(RTLD_DEFAULT, rows[i].name);
    const char* versions[] = {"GLIBC_2.2.5", "GLIBC_2.4"};  // of those that aren't for new programs
    for (int v = 0; v < 2 && !f; ++v) f = dlvsym(RTLD_DEFAULT, rows[i].name, versions[v]);
    *(void**)&rows[i].function = f;
  }
  records = mmap(NULL, sizeof(Record) * (size_t)calls, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  MUST(records != MAP_FAILED && shared != MAP_FAILED);
  // What bounds a batch is the number alone, so that each call is made on the same kind of thread in every run.
  for (long i = from; i < calls;) {
    long to = (i / kBatch + 1) * kBatch;
    run_from(seed, i, to < calls ? to : calls);
    i = records[shared->current].signal ? shared->current + 1 : to;
  }
  printing = true;
  for (long i = from; i < calls; ++i) print(seed, i);
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  return fflush(stdout) || system(command);
}
