// Second names of functions whose first are interposed elsewhere, so that both mean one thing.
#include "shim/real.h"

VT_EXPORT int __pthread_once(pthread_once_t* once, void (*call)(void)) { return pthread_once(once, call); }
VT_EXPORT int __pthread_rwlock_tryrdlock(pthread_rwlock_t* lock) { return pthread_rwlock_tryrdlock(lock); }
VT_EXPORT int __pthread_rwlock_trywrlock(pthread_rwlock_t* lock) { return pthread_rwlock_trywrlock(lock); }
VT_EXPORT void cnd_destroy(cnd_t* cond) { pthread_cond_destroy((pthread_cond_t*)cond); }
VT_EXPORT int __sched_yield() { return sched_yield(); }
VT_EXPORT int __sigaction(int signal, const struct sigaction* action, struct sigaction* old) { return sigaction(signal, action, old); }
// A header redirects this one's name to its twin's.
VT_EXPORT int older_mutex_consistent(pthread_mutex_t*) __asm__("pthread_mutex_consistent_np");
int older_mutex_consistent(pthread_mutex_t* mutex) { return pthread_mutex_consistent(mutex); }
