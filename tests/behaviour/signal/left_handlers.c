// What a thread is sent while a handler of its runs comes when that has ended, however it ends: a handler of a fault that returns, one that is
// left by a jump, and one whose own signal was blocked meanwhile. Nothing else happens to the thread then: it computes.
#include "../check.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum how { kFaultReturns, kFaultJumps, kSentJumps, kKinds };
enum { kRounds = 20 };

static __thread sigjmp_buf t_back;
static __thread volatile sig_atomic_t t_handled;
static __thread enum how t_how;
static atomic_int g_inside, g_sent;
static char* g_page;
static long g_page_size;

// For a while: nobody else needs to run as long as the handler of a fault does. Who sends later finds the thread computing.
static void wait_for_sender(void) {
  atomic_store(&g_inside, 1);
  for (long long end = now_ms() + 20; !atomic_load(&g_sent) && now_ms() < end;) {
  }
}

static void on_fault(int signal) {
  CHECK_EQ(signal, SIGSEGV);
  int saved = errno;
  wait_for_sender();
  if (t_how == kFaultJumps) siglongjmp(t_back, 1);
  CHECK_OK(mprotect(g_page, (size_t)g_page_size, PROT_READ | PROT_WRITE));
  errno = saved;
}

static void on_sent(int signal) {
  CHECK_EQ(signal, SIGUSR1);
  int first = t_handled++ == 0;
  if (t_how != kSentJumps || !first) return;
  wait_for_sender();
  siglongjmp(t_back, 1);
}

static void* worker(void* arg) {
  t_how = (enum how)(long)arg;
  if (sigsetjmp(t_back, 1) == 0) {
    if (t_how == kSentJumps) CHECK_RC(pthread_kill(pthread_self(), SIGUSR1), 0);
    else *(volatile char*)g_page = 1;
  }
  int expected = t_how == kSentJumps ? 2 : 1;
  while (t_handled < expected) {
  }
  CHECK_EQ(t_handled, expected);
  return arg;
}

static void* sender(void* arg) {
  while (!atomic_load(&g_inside)) sched_yield();
  CHECK_RC(pthread_kill(*(pthread_t*)arg, SIGUSR1), 0);
  usleep(100);
  atomic_store(&g_sent, 1);
  return arg;
}

int main(void) {
  g_page_size = sysconf(_SC_PAGESIZE);
  g_page = mmap(NULL, (size_t)g_page_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(g_page != MAP_FAILED);
  struct sigaction fault = {.sa_handler = on_fault}, sent = {.sa_handler = on_sent};
  sigaddset(&fault.sa_mask, SIGUSR1);
  CHECK_OK(sigaction(SIGSEGV, &fault, NULL));
  CHECK_OK(sigaction(SIGUSR1, &sent, NULL));
  for (int i = 0; i < kRounds * kKinds; ++i) {
    atomic_store(&g_inside, 0);
    atomic_store(&g_sent, 0);
    CHECK_OK(mprotect(g_page, (size_t)g_page_size, PROT_NONE));
    pthread_t t = start_thread(worker, (void*)(long)(i % kKinds));
    join_thread(start_thread(sender, &t));
    join_thread(t);
  }
  return 0;
}
