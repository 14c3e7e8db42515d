/* pthread_once(3p): in C, since the initializer may leave by an exception (std::call_once) or by cancellation, and a cleanup
   must run then without libstdc++ in the preload.

     *once        meaning
     0            never run, or left early
     gen << 2|1   runs, begun in the process that was forked `gen` times
     2            done (as glibc's: bit 1)                                                                        */
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <unwind.h>

void vt_once_wait(const int *word, int seen);
void vt_once_wake(const int *word);
int vt_is_active(void);
int vt_fork_generation __attribute__((visibility("hidden")));

static void count_fork(void) { ++vt_fork_generation; }
/* Once, before anybody's own handler or initializer. */
__attribute__((constructor, visibility("hidden"))) void vt_once_watch_forks(void) {
  static int watches;
  if (!__atomic_exchange_n(&watches, 1, __ATOMIC_RELAXED)) pthread_atfork(NULL, NULL, count_fork);
}

/* Known twice, as libc's own: to the compiler, whose cleanup runs where the unwinder comes through this frame, also by an exception; and in libc's list
   of cleanups, which it goes through at a cancellation even where a frame below ours has no unwind tables. */
void _pthread_cleanup_push(struct _pthread_cleanup_buffer *buffer, void (*routine)(void *), void *arg);
void _pthread_cleanup_pop(struct _pthread_cleanup_buffer *buffer, int execute);
struct guard { pthread_once_t *running; struct _pthread_cleanup_buffer buffer; };

static void reset(void *p) {
  struct guard *guard = p;
  pthread_once_t *once = guard->running;
  if (!once) return;
  guard->running = NULL;
  __atomic_store_n(once, 0, __ATOMIC_RELEASE);
  vt_once_wake(once);
}
static void leave_early(struct guard *guard) {
  if (!guard->running) return;
  _pthread_cleanup_pop(&guard->buffer, 0);
  reset(guard);
}

__attribute__((visibility("default"))) int pthread_once(pthread_once_t *once, void (*call)(void)) {
  int running = vt_fork_generation << 2 | 1;
  for (;;) {
    int seen = __atomic_load_n(once, __ATOMIC_ACQUIRE);
    if (seen & 2) return 0;
    vt_once_watch_forks(); /* a library's constructor may come before ours */
    if (seen == running) {
      vt_once_wait(once, seen);
      continue;
    }
    /* 0, or begun by a thread that a fork didn't copy */
    if (__atomic_compare_exchange_n(once, &seen, running, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) break;
  }
  __attribute__((cleanup(leave_early))) struct guard guard = {.running = once};
  _pthread_cleanup_push(&guard.buffer, reset, &guard);
  call();
  _pthread_cleanup_pop(&guard.buffer, 0);
  guard.running = NULL;
  __atomic_store_n(once, 2, __ATOMIC_RELEASE);
  vt_once_wake(once);
  return 0;
}

/* The unwinder's entry points that the cleanup above refers to: libgcc_s's, which is loaded when anything unwinds; not a dependency
   of every program. */
static void *unwinder(const char *name) {
  void *p = dlsym(RTLD_DEFAULT, name);
  if (!p) {
    void *lib = dlopen("libgcc_s.so.1", RTLD_NOW);
    p = lib ? dlsym(lib, name) : NULL;
  }
  if (!p) abort();
  return p;
}
__attribute__((visibility("hidden"))) _Unwind_Reason_Code __gcc_personality_v0(int version, _Unwind_Action actions,
    _Unwind_Exception_Class kind, struct _Unwind_Exception *exception, struct _Unwind_Context *context) {
  _Unwind_Reason_Code (*real)(int, _Unwind_Action, _Unwind_Exception_Class, struct _Unwind_Exception *,
                              struct _Unwind_Context *) = unwinder("__gcc_personality_v0");
  return real(version, actions, kind, exception, context);
}
__asm__(".hidden _Unwind_Resume");
void _Unwind_Resume(struct _Unwind_Exception *exception) {
  /* A landing pad in our own frame resumes here: the frames below are found from our caller's. */
  void (*real)(struct _Unwind_Exception *) = unwinder("_Unwind_Resume");
  real(exception);
  __builtin_unreachable();
}
