// A program with an io_uring of its own, as MariaDB has: a thread that waits in io_uring_enter is in nobody's way, and nothing of its wait is
// lost. (It kept its carrier for ever, also main's.)
#include "../check.h"

#include <linux/io_uring.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { kRounds = 20, kEntries = 8 };
static int g_ring;
static struct io_uring_params g_params;
static char *g_rings, *g_entries;
static atomic_int g_seen;

static _Atomic unsigned* word(unsigned offset) { return (_Atomic unsigned*)(g_rings + offset); }

static long enter(unsigned submit, unsigned wait) {
  long r;
  register long flags __asm__("r10") = wait ? IORING_ENTER_GETEVENTS : 0;
  register long mask __asm__("r8") = 0;
  register long size __asm__("r9") = 0;
  __asm__ volatile("syscall" : "=a"(r) : "0"((long)SYS_io_uring_enter), "D"((long)g_ring), "S"((long)submit), "d"((long)wait), "r"(flags), "r"(mask), "r"(size) : "rcx", "r11", "memory");
  return r;
}

static void submit_nop(unsigned long data) {
  unsigned tail = atomic_load(word(g_params.sq_off.tail)), at = tail % kEntries;
  struct io_uring_sqe* e = (struct io_uring_sqe*)g_entries + at;
  memset(e, 0, sizeof *e);
  e->opcode = IORING_OP_NOP;
  e->user_data = data;
  atomic_store(word(g_params.sq_off.array) + at, at);
  atomic_store(word(g_params.sq_off.tail), tail + 1);
  CHECK_EQ(enter(1, 0), 1);
}

static void* waiter(void* arg) {
  for (unsigned i = 0; i < kRounds; ++i) {
    CHECK_EQ(enter(0, 1), 0);
    unsigned head = atomic_load(word(g_params.cq_off.head));
    CHECK_EQ(atomic_load(word(g_params.cq_off.tail)) - head, 1);
    struct io_uring_cqe* done = (struct io_uring_cqe*)(g_rings + g_params.cq_off.cqes) + head % g_params.cq_entries;
    CHECK_EQ(done->user_data, i);
    atomic_store(word(g_params.cq_off.head), head + 1);
    atomic_store(&g_seen, (int)i + 1);
  }
  return arg;
}

int main(void) {
  g_ring = (int)syscall(SYS_io_uring_setup, kEntries, &g_params);
  if (g_ring < 0) SKIP("no io_uring here");
  CHECK(g_params.features & IORING_FEAT_SINGLE_MMAP);
  size_t size = g_params.cq_off.cqes + g_params.cq_entries * sizeof(struct io_uring_cqe);
  g_rings = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, g_ring, IORING_OFF_SQ_RING);
  g_entries = mmap(NULL, kEntries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED, g_ring, IORING_OFF_SQES);
  CHECK(g_rings != MAP_FAILED && g_entries != MAP_FAILED);
  pthread_t thread = start_thread(waiter, NULL);
  for (int i = 0; i < kRounds; ++i) {
    sleep_ms(5);  // it waits by now, most likely
    submit_nop((unsigned long)i);
    while (atomic_load(&g_seen) <= i) sched_yield();
  }
  join_thread(thread);
  return 0;
}
