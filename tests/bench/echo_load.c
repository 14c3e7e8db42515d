// Load for a server on loopback: one thread, one io_uring (multishot receives, sends and waits in one system call a batch), --connections of
// 64-byte echo requests, or with --http yes of GET requests. Two ways:
// - a closed loop: the next request follows the answer at once;
// - with --rate N an open one: so many requests a second are due at fixed moments, whether answers come or not. One whose connection still waits
//   is sent late, but its latency counts from when it was due, as does that of those unanswered at the end (no coordinated omission).
//   --spin yes: the generator, alone on its core, polls instead of sleeping, so that the moments are kept to the microsecond.
// Warms up (--warm-up), then measures for --seconds or until SIGTERM. Each answer is checked. Prints requests/s, latencies, its own share of
// a CPU and the server's (--pid), and load_limited 1 when the generator itself was the bottleneck: a closed loop in which it was more than
// 85 % busy and the server less than 90 %; an open one whose requests left late though their connection was free. Runs natively always.
#include <arpa/inet.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "load_stats.h"

enum { kMessage = 64, kRoom = 1024, kGroup = 0, kReceive = 0, kSend = 1 };
static const char kGet[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

typedef struct {
  int fd;
  int got;           // bytes of the present answer
  bool waits;        // for an answer
  bool answered;     // once, at least
  int64_t since_ns;  // when the present request was sent or, with --rate, due
  int64_t turn;      // with --rate: how many of its own requests came before the next one
  char request[kMessage], answer[kRoom];
} Connection;

static struct io_uring ring;
static struct io_uring_buf_ring *buffers;
static unsigned buffer_count, buffer_size;
static char *buffer_memory;
static Connection *connections;
static long count;
static bool http;
static int request_length = kMessage, answer_length = kMessage;
static uint64_t number;
static volatile sig_atomic_t stopped;
static void stop(int signal) { stopped = signal; }

static struct io_uring_sqe *next_sqe(long index, int kind) {
  struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
  if (!sqe) {
    BENCH_CHECK(io_uring_submit(&ring) >= 0);
    sqe = io_uring_get_sqe(&ring);
    BENCH_CHECK(sqe);
  }
  io_uring_sqe_set_data64(sqe, (uint64_t)index << 1 | (uint64_t)kind);
  return sqe;
}

static void receive(long index) {
  struct io_uring_sqe *sqe = next_sqe(index, kReceive);
  io_uring_prep_recv_multishot(sqe, (int)index, NULL, 0, 0);
  io_uring_sqe_set_data64(sqe, (uint64_t)index << 1 | kReceive);
  sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
  sqe->buf_group = kGroup;
}

static void request(long index, int64_t since_ns) {
  Connection *c = &connections[index];
  if (!http) memcpy(c->request, &number, sizeof number);
  ++number;
  c->got = 0;
  c->waits = true;
  c->since_ns = since_ns;
  struct io_uring_sqe *sqe = next_sqe(index, kSend);
  io_uring_prep_send(sqe, (int)index, http ? kGet : c->request, (size_t)request_length, MSG_NOSIGNAL);
  io_uring_sqe_set_data64(sqe, (uint64_t)index << 1 | kSend);
  sqe->flags |= IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;  // the answer tells that it went
}

static void give_back(unsigned id, int offset) {
  io_uring_buf_ring_add(buffers, buffer_memory + (size_t)id * buffer_size, buffer_size, (unsigned short)id,
                        io_uring_buf_ring_mask(buffer_count), offset);
}

static void open_ring(void) {
  unsigned entries = 256, completions;
  while (entries < 4096 && entries < (unsigned)count) entries *= 2;
  for (buffer_count = 256; buffer_count < 32768 && buffer_count < 2 * (unsigned)count;) buffer_count *= 2;
  completions = buffer_count * 2;
  struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                              .cq_entries = completions};
  int error = io_uring_queue_init_params(entries, &ring, &p);
  if (error == -EINVAL) {
    p = (struct io_uring_params){.flags = IORING_SETUP_CQSIZE, .cq_entries = completions};
    error = io_uring_queue_init_params(entries, &ring, &p);
  }
  BENCH_OK(-error);
  io_uring_register_ring_fd(&ring);
  int *fds = calloc((size_t)count, sizeof *fds);
  for (long i = 0; i < count; ++i) fds[i] = connections[i].fd;
  BENCH_OK(-io_uring_register_files(&ring, fds, (unsigned)count));
  free(fds);
  buffer_size = http ? 512 : kMessage;
  BENCH_OK(posix_memalign((void **)&buffers, 4096, buffer_count * sizeof(struct io_uring_buf)));
  buffer_memory = malloc((size_t)buffer_count * buffer_size);
  BENCH_CHECK(buffer_memory);
  struct io_uring_buf_reg registration = {.ring_addr = (uint64_t)(uintptr_t)buffers, .ring_entries = buffer_count, .bgid = kGroup};
  BENCH_OK(-io_uring_register_buf_ring(&ring, &registration, 0));
  io_uring_buf_ring_init(buffers);
  for (unsigned i = 0; i < buffer_count; ++i) give_back(i, (int)i);
  io_uring_buf_ring_advance(buffers, (int)buffer_count);
}

// A first message there and back: the connection has its thread then. One that waits to be accepted while the others are under load might
// wait for ever, natively: there the thread that accepts has one ten-thousandth of the CPU.
static void greet(Connection *c) {
  BENCH_CHECK(send(c->fd, c->request, kMessage, MSG_NOSIGNAL) == kMessage);
  for (int got = 0; got < kMessage;) {
    ssize_t n = recv(c->fd, c->answer, (size_t)(kMessage - got), 0);
    BENCH_CHECK(n > 0);
    got += (int)n;
  }
}

static void connect_all(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct linger reset = {1, 0};  // no TIME_WAIT is left behind
  int one = 1;
  for (long i = 0; i < count; ++i) {
    Connection *c = &connections[i];
    memset(c->request, 'a' + (int)(i % 26), kMessage);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    BENCH_CHECK(c->fd >= 0);
    BENCH_CHECK(!connect(c->fd, (struct sockaddr *)&address, sizeof address));
    BENCH_CHECK(!setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
    BENCH_CHECK(!setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset));
    setsockopt(c->fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);  // the cheapest for the sender, and there is no congestion
    if (!http) greet(c);
  }
}

// How long the server's answers are: from a first one. (All are alike: a date has always the same length.)
static void learn_answer_length(void) {
  char text[kRoom + 1];
  int got = 0, body = 0;
  const char *end = NULL, *field;
  request_length = sizeof kGet - 1;
  BENCH_CHECK(send(connections[0].fd, kGet, sizeof kGet - 1, MSG_NOSIGNAL) == sizeof kGet - 1);
  do {
    ssize_t n = recv(connections[0].fd, text + got, (size_t)(kRoom - got), 0);
    BENCH_CHECK(n > 0);
    text[got += (int)n] = 0;
    if (!end && (end = strstr(text, "\r\n\r\n"))) {
      BENCH_CHECK((field = strcasestr(text, "Content-Length:")));
      body = atoi(field + 15);
    }
    BENCH_CHECK(got < kRoom);
  } while (!end || got < end + 4 - text + body);
  answer_length = got;
}

// The kernel's completion of a receive: true when that connection's answer is whole.
static bool received(struct io_uring_cqe *cqe, long index, int *given_back) {
  Connection *c = &connections[index];
  errno = cqe->res < 0 ? -cqe->res : 0;
  if (cqe->res != -ENOBUFS) {
    BENCH_CHECK(cqe->res > 0 && "the server keeps the connection");
    unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
    BENCH_CHECK(c->got + cqe->res <= answer_length);
    memcpy(c->answer + c->got, buffer_memory + (size_t)id * buffer_size, (size_t)cqe->res);
    c->got += cqe->res;
    give_back(id, (*given_back)++);
  }
  if (!(cqe->flags & IORING_CQE_F_MORE)) receive(index);
  if (cqe->res < 0 || c->got < answer_length) return false;
  BENCH_CHECK(c->waits && !memcmp(http ? "HTTP/1.1 200" : c->request, c->answer, http ? 12 : kMessage));
  c->waits = false;
  return true;
}

int main(int argc, char **argv) {
  double seconds = bench_seconds(argc, argv), warm_up = atof(bench_option(argc, argv, "--warm-up", "0.3"));
  double rate = atof(bench_option(argc, argv, "--rate", "0"));
  long pid = atol(bench_option(argc, argv, "--pid", "0"));
  bool spin = !strcmp(bench_option(argc, argv, "--spin", "no"), "yes"), open_loop = rate > 0;
  http = !strcmp(bench_option(argc, argv, "--http", "no"), "yes");
  count = atol(bench_option(argc, argv, "--connections", "64"));
  signal(SIGTERM, stop);
  prctl(PR_SET_TIMERSLACK, 1);
  struct rlimit files;
  if (!getrlimit(RLIMIT_NOFILE, &files)) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  errno = 0;
  BENCH_CHECK(count > 0 && (connections = calloc((size_t)count, sizeof *connections)));
  connect_all(atoi(bench_option(argc, argv, "--port", "0")));
  if (http) learn_answer_length();
  open_ring();
  for (long i = 0; i < count; ++i) receive(i);

  Samples latency = {0}, lateness = {0};
  int64_t now = bench_now_ns(), start = now, begin = now + (int64_t)(warm_up * 1e9), end = INT64_MAX, last_answer = now;
  bool measuring = false;
  double own_cpu = 0, server_cpu = 0;
  uint64_t waits = 0, answered = 0;
  long unheard = count;  // connections without any answer yet: a closed loop warms up until there is none
  int64_t offered = 0;  // requests that were due, with --rate
#define DUE(k) (start + (int64_t)((double)(k) * 1e9 / rate))
  for (long i = 0; i < count && !open_loop; ++i) request(i, now);
  while (now < end && !stopped) {
    int64_t due = INT64_MAX;
    for (; open_loop && (due = DUE(offered)) <= now; ++offered) {
      Connection *c = &connections[offered % count];
      if (c->waits || c->turn != offered / count) continue;  // later, from when its answer has come
      ++c->turn;
      if (measuring) samples_add(&lateness, now - due);
      request(offered % count, due);
    }
    if (!measuring && now >= begin && (open_loop || unheard <= 0)) {
      measuring = true;
      own_cpu = own_cpu_s();
      server_cpu = process_cpu_s(pid);
      begin = now = bench_now_ns();
      end = begin + (int64_t)(seconds * 1e9);
    }
    // A batch: what was asked for goes out, and what has come is taken.
    int64_t patience = spin && open_loop ? 0 : due - now > 1000000000 ? 1000000000 : due - now;
    struct __kernel_timespec timeout = {patience / 1000000000, patience % 1000000000};
    struct io_uring_cqe *cqe;
    if (patience <= 0) {
      BENCH_CHECK(io_uring_submit(&ring) >= 0);
      io_uring_get_events(&ring);
    } else {
      int error = io_uring_submit_and_wait_timeout(&ring, &cqe, 1, &timeout, NULL);
      errno = error < 0 ? -error : 0;
      BENCH_CHECK(error >= 0 || errno == ETIME || errno == EINTR);
    }
    now = bench_now_ns();
    unsigned head, seen = 0;
    int given_back = 0;
    io_uring_for_each_cqe(&ring, head, cqe) {
      long index = (long)(cqe->user_data >> 1);
      ++seen;
      errno = cqe->res < 0 ? -cqe->res : 0;
      BENCH_CHECK((cqe->user_data & 1) == kReceive && "a request was sent");
      Connection *c = &connections[index];
      if (!received(cqe, index, &given_back)) continue;
      answered += measuring;
      if (!c->answered) {
        c->answered = true;
        --unheard;
      }
      if (measuring && (!open_loop || c->since_ns >= begin)) samples_add(&latency, now - c->since_ns);
      int64_t next = c->turn * count + index;  // its next request's number, with --rate
      if (!open_loop) request(index, now);
      else if (next < offered) ++c->turn, request(index, DUE(next));
    }
    if (given_back) io_uring_buf_ring_advance(buffers, given_back);
    io_uring_cq_advance(&ring, seen);
    if (seen) {
      last_answer = now;
      waits += measuring;
    }
    errno = 0;
    BENCH_CHECK(now - last_answer < 10000000000 && "the server answers");
  }
  double took = (double)(now - begin) / 1e9;
  own_cpu = (own_cpu_s() - own_cpu) / took;
  server_cpu = (process_cpu_s(pid) - server_cpu) / took;
  // What is due and unanswered took at least until now.
  for (long i = 0; i < count && open_loop; ++i) {
    Connection *c = &connections[i];
    if (c->waits && c->since_ns >= begin) samples_add(&latency, now - c->since_ns);
    for (int64_t k = c->turn * count + i; k < offered; k += count)
      if (DUE(k) >= begin) samples_add(&latency, now - DUE(k));
  }
  errno = 0;
  BENCH_CHECK(latency.count > 0);
  double each = answered ? 1e6 * took / (double)answered : 0;
  samples_sort(&latency);
  samples_sort(&lateness);
  double p99 = samples_at(&latency, 0.99), late = samples_at(&lateness, 0.99);
  bool limited = open_loop ? spin && late > 50 && late > p99 / 4 : own_cpu > 0.85 && (!pid || server_cpu < 0.90);
  printf("requests_per_s %.0f p50_us %.1f p99_us %.1f p999_us %.1f load_cpu %.2f server_cpu %.2f server_us_per_request %.2f "
         "load_us_per_request %.2f answers_per_wait %.1f late_p99_us %.1f load_limited %d\n",
         (double)answered / took, samples_at(&latency, 0.5), p99, samples_at(&latency, 0.999), own_cpu, server_cpu,
         server_cpu * each, own_cpu * each, (double)answered / (double)(waits ? waits : 1), late, limited);
  if (limited) fprintf(stderr, "echo_load: the load generator is the bottleneck (its CPU %.0f %%, the server's %.0f %%; requests late by %.0f us)\n",
                       own_cpu * 100, server_cpu * 100, late);
  return 0;
}
