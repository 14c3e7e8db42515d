// What a thread begins with: its creator's policy and priority, unless its attributes say otherwise; with a NULL attr what pthread_setattr_default_np said.
// What the kernel would refuse is refused. And pthread_getattr_np tells it.
#define _GNU_SOURCE
#include "../check.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <threads.h>

struct found {
  int policy, priority, attr_policy, attr_priority;
  size_t guard;
  cpu_set_t now, attr_set;
  sigset_t mask;
};

static void* look(void* arg) {
  struct found* f = arg;
  struct sched_param param;
  pthread_attr_t attr;
  CHECK_RC(pthread_getschedparam(pthread_self(), &f->policy, &param), 0);
  f->priority = param.sched_priority;
  CHECK_RC(pthread_getattr_np(pthread_self(), &attr), 0);
  CHECK_RC(pthread_attr_getschedpolicy(&attr, &f->attr_policy), 0);
  CHECK_RC(pthread_attr_getschedparam(&attr, &param), 0);
  f->attr_priority = param.sched_priority;
  CHECK_RC(pthread_attr_getguardsize(&attr, &f->guard), 0);
  memset(&f->attr_set, 0x55, sizeof f->attr_set);
  CHECK_RC(pthread_attr_getaffinity_np(&attr, sizeof f->attr_set, &f->attr_set), 0);
  CHECK_RC(pthread_getaffinity_np(pthread_self(), sizeof f->now, &f->now), 0);
  CHECK_RC(pthread_attr_destroy(&attr), 0);
  CHECK_RC(pthread_sigmask(SIG_SETMASK, NULL, &f->mask), 0);
  return NULL;
}
static int look_c11(void* arg) {
  look(arg);
  return 0;
}

static struct found found_by(const pthread_attr_t* attr) {
  struct found f;
  memset(&f, 0, sizeof f);
  pthread_t thread;
  CHECK_RC(pthread_create(&thread, attr, look, &f), 0);
  join_thread(thread);
  return f;
}

static void* nested(void* arg) {
  *(struct found*)arg = found_by(NULL);
  return NULL;
}

static void policies(void) {
  struct sched_param param = {.sched_priority = 7};
  pthread_attr_t attr;
  CHECK_RC(pthread_attr_init(&attr), 0);
  CHECK_RC(pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED), 0);
  CHECK_RC(pthread_attr_setschedpolicy(&attr, SCHED_FIFO), 0);
  CHECK_RC(pthread_attr_setschedparam(&attr, &param), 0);
  CHECK_RC(pthread_attr_setschedpolicy(&attr, SCHED_OTHER), 0);  // which knows no such priority
  pthread_t thread;
  CHECK_RC(pthread_create(&thread, &attr, look, NULL), EINVAL);
  if (pthread_setschedparam(pthread_self(), SCHED_RR, &param) != 0) return;  // not allowed
  struct found f = found_by(NULL);
  CHECK_EQ(f.policy, SCHED_RR);
  CHECK_EQ(f.priority, 7);
  CHECK_RC(pthread_attr_setinheritsched(&attr, PTHREAD_INHERIT_SCHED), 0);
  f = found_by(&attr);
  CHECK_EQ(f.policy, SCHED_RR);
  CHECK_EQ(f.priority, 7);
  memset(&f, 0, sizeof f);
  join_thread(start_thread(nested, &f));
  CHECK_EQ(f.policy, SCHED_RR);
  CHECK_EQ(f.priority, 7);
  param.sched_priority = 9;
  CHECK_RC(pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED), 0);
  CHECK_RC(pthread_attr_setschedpolicy(&attr, SCHED_FIFO), 0);
  CHECK_RC(pthread_attr_setschedparam(&attr, &param), 0);
  f = found_by(&attr);
  CHECK_EQ(f.policy, SCHED_FIFO);
  CHECK_EQ(f.priority, 9);
  CHECK_EQ(f.attr_policy, SCHED_FIFO);
  CHECK_EQ(f.attr_priority, 9);
  param.sched_priority = 0;
  CHECK_RC(pthread_setschedparam(pthread_self(), SCHED_OTHER, &param), 0);
  CHECK_EQ(found_by(NULL).policy, SCHED_OTHER);
  CHECK_RC(pthread_attr_destroy(&attr), 0);
}

static void affinities(void) {
  pthread_attr_t attr;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(1000, &set);
  CHECK_RC(pthread_attr_init(&attr), 0);
  CHECK_RC(pthread_attr_setaffinity_np(&attr, sizeof set, &set), 0);
  pthread_t thread;
  CHECK_RC(pthread_create(&thread, &attr, look, NULL), EINVAL);
  CHECK_RC(pthread_attr_destroy(&attr), 0);
  struct found f = found_by(NULL);
  CHECK(memcmp(&f.now, &f.attr_set, sizeof f.now) == 0);
}

static void defaults(void) {
  pthread_attr_t attr;
  sigset_t hup, usr1;
  sigemptyset(&hup);
  sigaddset(&hup, SIGHUP);
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &usr1, NULL), 0);
  CHECK_RC(pthread_getattr_default_np(&attr), 0);
  CHECK_RC(pthread_attr_setsigmask_np(&attr, &hup), 0);
  CHECK_RC(pthread_attr_setguardsize(&attr, 8192), 0);
  CHECK_RC(pthread_setattr_default_np(&attr), 0);
  struct found f = found_by(NULL), g;
  thrd_t thread;
  CHECK_EQ(thrd_create(&thread, look_c11, &g), thrd_success);
  CHECK_EQ(thrd_join(thread, NULL), thrd_success);
  for (struct found* x = &f; x; x = x == &f ? &g : NULL) {
    CHECK_EQ(x->guard, 8192);
    CHECK_EQ(sigismember(&x->mask, SIGHUP), 1);
    CHECK_EQ(sigismember(&x->mask, SIGUSR1), 0);
  }
  CHECK_RC(pthread_attr_destroy(&attr), 0);
}

int main(void) {
  affinities();
  policies();
  defaults();
  return 0;
}
