// io_uring by hand: one thread, one system call a batch; multishot accept and receives into provided buffers, from which the answer is sent.
// Prints "port N" and runs until killed.
#include <liburing.h>

#include "listen.h"

enum { kBuffers = 32768, kAccept = 0, kReceive = 1, kSend = 2 };

static struct io_uring ring;
static struct io_uring_buf_ring *buffers;
static char memory[kBuffers][kMessage];

// user_data: what it is, the descriptor, the buffer.
static struct io_uring_sqe *ask(int what, int fd, unsigned buffer, void (*prepare)(struct io_uring_sqe *, int, unsigned)) {
  struct io_uring_sqe *sqe;
  while (!(sqe = io_uring_get_sqe(&ring))) BENCH_CHECK(io_uring_submit(&ring) >= 0);
  prepare(sqe, fd, buffer);
  io_uring_sqe_set_data64(sqe, (uint64_t)what << 60 | (uint64_t)(unsigned)fd << 24 | buffer);
  return sqe;
}

static void prepare_accept(struct io_uring_sqe *sqe, int fd, unsigned unused) {
  (void)unused;
  io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
}

static void prepare_receive(struct io_uring_sqe *sqe, int fd, unsigned unused) {
  (void)unused;
  io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
}

static int to_send;  // bytes of the answer that is asked for
static void prepare_send(struct io_uring_sqe *sqe, int fd, unsigned buffer) {
  io_uring_prep_send(sqe, fd, memory[buffer], (size_t)to_send, MSG_NOSIGNAL);
}

int main(void) {
  struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                              .cq_entries = 2 * kBuffers};
  int listener = listen_anywhere(0), one = 1;
  BENCH_OK(-io_uring_queue_init_params(4096, &ring, &p));
  io_uring_register_ring_fd(&ring);
  BENCH_OK(posix_memalign((void **)&buffers, 4096, kBuffers * sizeof(struct io_uring_buf)));
  struct io_uring_buf_reg registration = {.ring_addr = (uint64_t)(uintptr_t)buffers, .ring_entries = kBuffers};
  BENCH_OK(-io_uring_register_buf_ring(&ring, &registration, 0));
  io_uring_buf_ring_init(buffers);
  for (int i = 0; i < kBuffers; ++i)
    io_uring_buf_ring_add(buffers, memory[i], kMessage, (unsigned short)i, kBuffers - 1, i);
  io_uring_buf_ring_advance(buffers, kBuffers);
  ask(kAccept, listener, 0, prepare_accept);
  for (;;) {
    int error = io_uring_submit_and_wait(&ring, 1), returned = 0;
    BENCH_CHECK(error >= 0 || error == -EINTR);
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0;
    io_uring_for_each_cqe(&ring, head, cqe) {
      int what = (int)(cqe->user_data >> 60), fd = (int)(cqe->user_data >> 24 & 0xfffffff), ended = !(cqe->flags & IORING_CQE_F_MORE);
      ++seen;
      if (what == kAccept) {
        errno = cqe->res < 0 ? -cqe->res : 0;
        BENCH_CHECK(cqe->res >= 0);
        BENCH_CHECK(!setsockopt(cqe->res, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
        ask(kReceive, cqe->res, 0, prepare_receive);
        if (ended) ask(kAccept, listener, 0, prepare_accept);
      } else if (what == kReceive) {
        if (cqe->res > 0) {
          to_send = cqe->res;
          ask(kSend, fd, cqe->flags >> IORING_CQE_BUFFER_SHIFT, prepare_send);
        }
        if (ended && (cqe->res > 0 || cqe->res == -ENOBUFS)) ask(kReceive, fd, 0, prepare_receive);
        else if (ended) close(fd);
      } else {  // sent: the kernel needs the buffer no longer
        unsigned buffer = (unsigned)(cqe->user_data & 0xffffff);
        io_uring_buf_ring_add(buffers, memory[buffer], kMessage, (unsigned short)buffer, kBuffers - 1, returned++);
      }
    }
    io_uring_buf_ring_advance(buffers, returned);
    io_uring_cq_advance(&ring, seen);
  }
}
