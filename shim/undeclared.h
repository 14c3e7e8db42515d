// Interposed functions that no header declares: FORTIFY variants and aliases. From glibc's debug/ and <bits/*2.h>.
#pragma once

#include <poll.h>
#include <pthread.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>

struct __user_cap_header_struct;
struct __user_cap_data_struct;
extern "C" {
int capset(struct __user_cap_header_struct*, const struct __user_cap_data_struct*);
ssize_t __read_chk(int, void*, size_t, size_t);
ssize_t __pread_chk(int, void*, size_t, off_t, size_t);
ssize_t __pread64_chk(int, void*, size_t, off64_t, size_t);
ssize_t __recv_chk(int, void*, size_t, size_t, int);
ssize_t __recvfrom_chk(int, void*, size_t, size_t, int, struct sockaddr*, socklen_t*);
int __poll_chk(struct pollfd*, nfds_t, int, size_t);
int __ppoll_chk(struct pollfd*, nfds_t, const struct timespec*, const sigset_t*, size_t);
ssize_t __read(int, void*, size_t);
ssize_t __write(int, const void*, size_t);
ssize_t __send(int, const void*, size_t, int);
int __connect(int, const struct sockaddr*, socklen_t);
int __close(int);
int __poll(struct pollfd*, nfds_t, int);
int __select(int, fd_set*, fd_set*, fd_set*, struct timeval*);
int __nanosleep(const struct timespec*, struct timespec*);
pid_t __waitpid(pid_t, int*, int);
void __longjmp_chk(struct __jmp_buf_tag*, int) __attribute__((noreturn));
void (*bsd_signal(int, void (*)(int)))(int);
void (*sysv_signal(int, void (*)(int)))(int);
ssize_t __pread64(int, void*, size_t, off64_t);
ssize_t __pwrite64(int, const void*, size_t, off64_t);
int __dup2(int, int);
int __fcntl(int, int, ...);
pid_t __wait(int*);
int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void*);
int __open(const char*, int, ...);
int __open64(const char*, int, ...);
int __open_2(const char*, int);
int __open64_2(const char*, int);
int __openat_2(int, const char*, int);
int __openat64_2(int, const char*, int);
struct __res_state;
int __res_query(const char*, int, int, unsigned char*, int);
int __res_search(const char*, int, int, unsigned char*, int);
int __res_querydomain(const char*, const char*, int, int, unsigned char*, int);
int __res_send(const unsigned char*, int, unsigned char*, int);
int __res_nquery(struct __res_state*, const char*, int, int, unsigned char*, int);
int __res_nsearch(struct __res_state*, const char*, int, int, unsigned char*, int);
int __res_nquerydomain(struct __res_state*, const char*, const char*, int, int, unsigned char*, int);
int __res_nsend(struct __res_state*, const unsigned char*, int, unsigned char*, int);
int __clone(int (*)(void*), void*, int, void*, ...);
int __pthread_once(pthread_once_t*, void (*)(void));
int __pthread_rwlock_tryrdlock(pthread_rwlock_t*);
int __pthread_rwlock_trywrlock(pthread_rwlock_t*);
int __sched_yield(void);
int __sigaction(int, const struct sigaction*, struct sigaction*);
int __pthread_key_create(pthread_key_t*, void (*)(void*));
int __pthread_mutex_lock(pthread_mutex_t*);
int __pthread_mutex_trylock(pthread_mutex_t*);
int __pthread_mutex_unlock(pthread_mutex_t*);
int __pthread_rwlock_rdlock(pthread_rwlock_t*);
int __pthread_rwlock_wrlock(pthread_rwlock_t*);
int __pthread_rwlock_unlock(pthread_rwlock_t*);
}
