// Load for an echo server on loopback: one thread, epoll, --connections of 64-byte requests in a closed loop (the next
// request follows the answer at once), or with --rate N so many requests a second, offered whether the answers come or not: the latency
// then counts from when a request was due. SIGTERM ends the measurement early. Warms up, then measures for --seconds: requests/s, p50 and p99 latency, its own CPU
// use and that of the server (--pid). Every answer is checked. When the generator is the bottleneck (its CPU above 95 %
// while the server's is below 90 %), it says so. Runs natively always.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

enum { kMessage = 64, kEvents = 256 };

typedef struct {
  int fd;
  int got;             // bytes of the present answer
  int64_t sent_at_ns;  // of the present request; with --rate: when it was due
  int64_t due_at_ns;   // with --rate: of the next one, which waits for the present answer; 0: none does
  int busy;
  char request[kMessage], answer[kMessage];
} Connection;

// Latencies of the measured window in nanoseconds.
static uint32_t *samples;
static size_t sample_count, sample_room;

static void record(int64_t ns) {
  if (sample_count == sample_room) {
    sample_room = sample_room ? sample_room * 2 : 1 << 21;
    samples = realloc(samples, sample_room * sizeof *samples);
    BENCH_CHECK(samples);
  }
  samples[sample_count++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static int compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static double own_cpu_s(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

// User and system time of all threads of a process, from /proc/PID/stat (in ticks of 10 ms).
static double process_cpu_s(long pid) {
  char path[64], text[1024];
  unsigned long user = 0, system = 0;
  if (!pid) return 0;
  snprintf(path, sizeof path, "/proc/%ld/stat", pid);
  FILE *f = fopen(path, "r");
  BENCH_CHECK(f);
  text[fread(text, 1, sizeof text - 1, f)] = 0;
  fclose(f);
  const char *after_name = strrchr(text, ')');
  errno = 0;
  BENCH_CHECK(after_name && sscanf(after_name, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) == 2);
  return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static volatile sig_atomic_t stopped;
static void stop(int number) { stopped = number; }

static void request(Connection *c, uint64_t number, int64_t due_at_ns) {
  memcpy(c->request, &number, sizeof number);
  c->got = 0;
  c->busy = 1;
  c->sent_at_ns = due_at_ns;
  BENCH_CHECK(send(c->fd, c->request, kMessage, MSG_NOSIGNAL) == kMessage);
}

int main(int argc, char **argv) {
  double seconds = bench_seconds(argc, argv), warm_up = atof(bench_option(argc, argv, "--warm-up", "0.3"));
  long count = atol(bench_option(argc, argv, "--connections", "64")), pid = atol(bench_option(argc, argv, "--pid", "0"));
  double rate = atof(bench_option(argc, argv, "--rate", "0"));
  int port = atoi(bench_option(argc, argv, "--port", "0")), one = 1;
  signal(SIGTERM, stop);
  struct rlimit files;
  if (!getrlimit(RLIMIT_NOFILE, &files)) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  Connection *connections = calloc((size_t)count, sizeof *connections);
  BENCH_CHECK(epoll >= 0 && connections && count > 0);
  for (long i = 0; i < count; ++i) {
    Connection *c = &connections[i];
    memset(c->request, 'a' + (int)(i % 26), kMessage);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    BENCH_CHECK(c->fd >= 0);
    BENCH_CHECK(!connect(c->fd, (struct sockaddr *)&address, sizeof address));
    BENCH_CHECK(!setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    BENCH_CHECK(!epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event));
  }
  uint64_t number = 0;
  for (long i = 0; i < count && !(rate > 0); ++i) request(&connections[i], ++number, bench_now_ns());

  int64_t now = bench_now_ns(), start = now, begin = now + (int64_t)(warm_up * 1e9), end = INT64_MAX, last_answer = now;
  int measuring = 0;
  double own_cpu = 0, server_cpu = 0;
  uint64_t offered = 0;
  while (now < end && !stopped) {
    int64_t due = INT64_MAX;
    for (; rate > 0 && (due = start + (int64_t)((double)offered * 1e9 / rate)) <= now; ++offered) {
      Connection *c = &connections[offered % (uint64_t)count];
      if (!c->busy) request(c, ++number, due);
      else if (!c->due_at_ns) c->due_at_ns = due;
    }
    if (!measuring && now >= begin) {
      measuring = 1;
      own_cpu = own_cpu_s();
      server_cpu = process_cpu_s(pid);
      begin = now = bench_now_ns();
      end = begin + (int64_t)(seconds * 1e9);
    }
    struct epoll_event events[kEvents];
    int64_t patience = due <= now ? 0 : due - now < 1000000000 ? due - now : 1000000000;
    struct timespec timeout = {patience / 1000000000, patience % 1000000000};
    int ready = epoll_pwait2(epoll, events, kEvents, &timeout, NULL);
    BENCH_CHECK(ready >= 0 || errno == EINTR);
    now = bench_now_ns();
    if (ready > 0) last_answer = now;
    errno = 0;
    BENCH_CHECK(now - last_answer < 10000000000 && "the server answers");
    for (int i = 0; i < ready; ++i) {
      Connection *c = events[i].data.ptr;
      ssize_t n = recv(c->fd, c->answer + c->got, (size_t)(kMessage - c->got), MSG_DONTWAIT);
      if (n < 0 && errno == EAGAIN) continue;
      BENCH_CHECK(n > 0);
      c->got += (int)n;
      if (c->got < kMessage) continue;
      errno = 0;
      BENCH_CHECK(!memcmp(c->request, c->answer, kMessage));
      now = bench_now_ns();
      if (measuring) record(now - c->sent_at_ns);
      c->busy = 0;
      if (!(rate > 0)) request(c, ++number, bench_now_ns());
      else if (c->due_at_ns) request(c, ++number, c->due_at_ns);
      c->due_at_ns = 0;
    }
  }
  double took = (double)(now - begin) / 1e9;
  own_cpu = (own_cpu_s() - own_cpu) / took;
  server_cpu = (process_cpu_s(pid) - server_cpu) / took;
  errno = 0;
  BENCH_CHECK(sample_count > 0);
  qsort(samples, sample_count, sizeof *samples, compare);
  int limited = pid && own_cpu > 0.95 && server_cpu < 0.90;
  printf("requests_per_s %.0f p50_us %.1f p99_us %.1f load_cpu %.2f server_cpu %.2f server_us_per_request %.2f load_limited %d\n",
         (double)sample_count / took, samples[sample_count / 2] / 1e3, samples[sample_count * 99 / 100] / 1e3, own_cpu,
         server_cpu, server_cpu * took * 1e6 / (double)sample_count, limited);
  if (limited) fprintf(stderr, "echo_load: the load generator is the bottleneck (its CPU %.0f %%, the server's %.0f %%)\n",
                       own_cpu * 100, server_cpu * 100);
  return 0;
}
