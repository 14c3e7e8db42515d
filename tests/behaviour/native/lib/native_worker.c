// A library that starts threads of its own: under vtshim they stay platform threads where VTSHIM_NATIVE_LIBS names it. For shared.c.
#include <pthread.h>
#include <stdlib.h>

struct job {
  void* (*body)(void*);
  void* argument;
};

int native_worker_start(pthread_t* thread, void* (*body)(void*), void* argument);

static void* run(void* p) {
  struct job job = *(struct job*)p;
  free(p);
  return job.body(job.argument);
}

int native_worker_start(pthread_t* thread, void* (*body)(void*), void* argument) {
  struct job* job = malloc(sizeof *job);
  if (!job) return 12;
  job->body = body;
  job->argument = argument;
  return pthread_create(thread, NULL, run, job);
}
