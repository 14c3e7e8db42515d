// What shim/ and pyglue/ see of the runtime, and all they see.
//
// Unless a comment says otherwise a function returns a value >= 0, or -errno; it never touches errno.
// Functions marked @parks may return on another OS thread than they were called on; on a platform
// thread they block that thread instead, so a caller need not ask who it is, but the shim asks
// anyway (can_park) where the libc function itself is the better choice for a platform thread.
#pragma once

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <sys/uio.h>
#include <time.h>

struct link_map;

namespace vt {

// ---------------------------------------------------------------- life

/// Reads the settings and checks this glibc. Idempotent; every interposed function may call it.
/// Starts no thread and opens no ring. @thread any @signal safe after the first call
void boot() noexcept;

/// False: the settings or this glibc forbid virtual threads, and every shim body passes its call on to libc. @signal safe
bool active() noexcept;

/// Somebody creates a thread though it isn't active(): one line, once, if that is for a reason that nobody has been told of.
void native_tell() noexcept;

/// True on a virtual thread that may park now (not in a vfork child, not inside the scheduler). @signal safe
bool can_park() noexcept;
/// The same, for calls on descriptors, which often return at once: who makes many of them without parking lets others of its carrier have their turn
/// now and then. @parks
bool call_can_park() noexcept;

/// True on a virtual thread, whether it may park or not; not in a vfork child. @signal safe
bool on_vthread() noexcept;
/// True on a virtual thread whose signal mask and the like are numbers of ours; main's are its OS thread's, but while it's away from that. @signal safe
bool has_virtual_signals() noexcept;
/// Its signal stack isn't the OS thread's: also while it is a platform thread for the handler of a fault.
bool has_own_signal_stack() noexcept;

/// One line on stderr, prefixed "vtshim: ". printf subset: %s %d %u %lx %lu %ld. No allocation. @signal safe
void complain(const char* format, ...) noexcept __attribute__((format(printf, 1, 2)));

/// What every virtual thread does, as lines of text to `fd`; 0 or -errno. Takes no lock, allocates nothing. @thread any @signal safe
int dump(int fd) noexcept;

// ---------------------------------------------------------------- blocking behind the scheduler's back

/// The library that `address` lies in; null: none. Without ld.so's lock, but for glibc 2.34. @thread any
link_map* library_around(const void* address) noexcept;

/// Runs `call(arg)`, with `size` bytes at `arg`, on an OS thread on which no other virtual thread waits, so that it may block for as
/// long as it likes; on a platform thread it just calls. The call runs on the caller's own stack and
/// thread area, so errno, `__thread` and exceptions' frames are the caller's. @parks
void run_blocking(void (*call)(void*), void* arg, size_t size);

/// `blocking([&] { result = real(...); })`. @parks
template <class F>
inline void blocking(F&& f) {
  run_blocking([](void* p) { (*static_cast<F*>(p))(); }, &f, sizeof f);
}

/// A system call that may wait, in the same way; nothing of libc's is involved. `cancel_point`: a cancellation ends it, whenever it comes. >= 0 or
/// -errno; -EINTR also where thread_was_interrupted() says no. @parks
long blocking_system_call(bool cancel_point, long number, const long (&arguments)[6]) noexcept;

/// Around an announced call that looks something up in a database of libc's: of very many at once some begin, and the others wait for their turn, which
/// comes when one ends, or where none does, after a while. @parks
class LookUp {
 public:
  explicit LookUp(bool cancellable) noexcept;
  ~LookUp();
  LookUp(const LookUp&) = delete;
  LookUp& operator=(const LookUp&) = delete;

 private:
  bool counts_;
};

/// What the functions below that wait may return on main instead of a result: nothing was done, and the caller makes libc's own call. The
/// last virtual thread has ended, and the runtime wants to.
inline constexpr int kGoNative = -4094;

// ---------------------------------------------------------------- I/O (io/): only with can_park()
// Semantics of the blocking call of the same name on this fd, whatever its O_NONBLOCK is: where the
// program made the fd non-blocking, -EAGAIN comes back. SO_RCVTIMEO and SO_SNDTIMEO hold. All @parks.

ssize_t io_read(int fd, void* buffer, size_t size) noexcept;
ssize_t io_readv(int fd, const iovec* vector, int count) noexcept;
ssize_t io_pread(int fd, void* buffer, size_t size, off_t offset) noexcept;
/// `flags` as preadv2(2); offset -1 means the file position.
ssize_t io_preadv(int fd, const iovec* vector, int count, off_t offset, int flags) noexcept;
ssize_t io_write(int fd, const void* buffer, size_t size) noexcept;
ssize_t io_writev(int fd, const iovec* vector, int count) noexcept;
ssize_t io_pwrite(int fd, const void* buffer, size_t size, off_t offset) noexcept;
ssize_t io_pwritev(int fd, const iovec* vector, int count, off_t offset, int flags) noexcept;
ssize_t io_recv(int fd, void* buffer, size_t size, int flags) noexcept;
ssize_t io_recvfrom(int fd, void* buffer, size_t size, int flags, sockaddr* from, socklen_t* from_size) noexcept;
ssize_t io_recvmsg(int fd, msghdr* message, int flags) noexcept;
ssize_t io_send(int fd, const void* buffer, size_t size, int flags) noexcept;
ssize_t io_sendto(int fd, const void* buffer, size_t size, int flags, const sockaddr* to, socklen_t to_size) noexcept;
ssize_t io_sendmsg(int fd, const msghdr* message, int flags) noexcept;
int io_accept(int fd, sockaddr* address, socklen_t* size, int flags) noexcept;
int io_connect(int fd, const sockaddr* address, socklen_t size) noexcept;
/// `timeout` is relative; null waits for ever. Not changed.
int io_poll(pollfd* fds, nfds_t count, const timespec* timeout) noexcept;
int io_select(int count, fd_set* reads, fd_set* writes, fd_set* excepts, const timespec* timeout) noexcept;
/// For a wait in the kernel of a thread that doesn't park: was it interrupted though no handler of the program's ran? The end of main's ring
/// does that to calls which the kernel doesn't restart.
uint32_t handlers_counted() noexcept;
bool no_handler_since(uint32_t count) noexcept;
int io_epoll_wait(int epfd, epoll_event* events, int max, const timespec* timeout) noexcept;
/// Until there is something to read; `deadline`: ns, CLOCK_MONOTONIC. > 0, -EAGAIN at the deadline, or -EINTR.
int io_wait_readable(int fd, uint64_t deadline) noexcept;
int io_fsync(int fd, bool data_only) noexcept;
int io_recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout) noexcept;
int io_sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) noexcept;
/// openat(2).
int io_open(int folder, const char* path, int flags, mode_t mode) noexcept;
ssize_t io_sendfile(int out, int in, off_t* offset, size_t count) noexcept;
/// wait4(2); usage may be null.
pid_t io_wait4(pid_t pid, int* status, int options, struct rusage* usage) noexcept;
int io_waitid(idtype_t type, id_t id, siginfo_t* info, int options, struct rusage* usage) noexcept;

/// To be called when the program sets an option of any socket's: from then on who needs to know one that says how calls wait asks the kernel.
/// @signal safe
void io_note_option(int name) noexcept;
/// To be called when the program makes a FIFO: from then on io_open looks at what it opens. @signal safe
void io_note_fifo() noexcept;
/// May close(fd) wait for what was written to arrive?
bool io_lingers(int fd) noexcept;
/// To be called when fd gets another meaning (close, dup2 onto it): forgets its history. @signal safe
void io_forget(int fd) noexcept;
/// The program gives these numbers up: io_forget(), and who waits on the files behind them goes on. @thread any
void io_closing(int fd) noexcept;
void io_closing(unsigned first, unsigned last) noexcept;
/// The runtime's own lowest descriptor from `fd` on, which isn't the program's to close; -1: none. @signal safe
int io_next_own(unsigned fd) noexcept;
bool io_is_own(int fd) noexcept;
/// To be called after anything was made O_NONBLOCK, or fds were closed wholesale: forgets what was blocking. @signal safe
void io_note_nonblocking() noexcept;
/// The same when O_NONBLOCK was taken away: forgets what wasn't. @signal safe
void io_note_blocking() noexcept;

/// Sleeps until `deadline` on `clock` (CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME). 0, -EINVAL, or -EINTR after a signal
/// handler. `in_call`: part of a call that began earlier, so handlers since then count. @parks
int sleep_until(clockid_t clock, const timespec& deadline, bool in_call = false) noexcept;
/// Gives the carrier to the next runnable virtual thread; sched_yield(2) on a platform thread. @parks
void yield() noexcept;

// ---------------------------------------------------------------- threads (core/): results are 0 or -errno

int thread_create(pthread_t* thread, const pthread_attr_t* attr, void* (*start)(void*), void* arg) noexcept;
/// A pthread_t of ours? (A platform thread's goes to glibc.) @signal safe
bool is_vthread(pthread_t thread) noexcept;
/// Joined and detached by the functions below: virtual, or main where it takes part. @signal safe
bool is_joined_here(pthread_t thread) noexcept;
/// `deadline` null waits for ever. -ETIMEDOUT, -EDEADLK, -EINVAL (detached, or another joins), -ESRCH. @parks @cancel
int thread_join(pthread_t thread, void** result, clockid_t clock, const timespec* deadline);
int thread_try_join(pthread_t thread, void** result) noexcept;
int thread_detach(pthread_t thread) noexcept;
/// pthread_exit's value for the calling virtual thread, before glibc unwinds it.
void thread_set_result(void* value) noexcept;
/// pthread_exit of a platform thread is about to unwind it (the main thread's leaves the process running).
void thread_platform_exits() noexcept;
int thread_get_attr(pthread_t thread, pthread_attr_t* attr) noexcept;
/// Cancellation of a thread that is joined here; the waits at its cancellation points end with -EINTR, and others, too, if it is asynchronous.
int thread_cancel(pthread_t thread) noexcept;
int thread_cancel_state(int state, int* old) noexcept;
int thread_cancel_type(int type, int* old) noexcept;
bool thread_is_async() noexcept;
/// Around an announced call that is no cancellation point: a cancellation doesn't end the system call that it is in.
void cancel_shield(bool on) noexcept;
/// The caller was cancelled, and hasn't disabled that. @signal safe
bool thread_wants_cancel() noexcept;
/// An announced call of the caller's, a virtual thread, begins: the handlers of the program's that have run on it up to now, which don't end the call.
uint32_t handlers_before_call() noexcept;
/// Did an announced call of the caller's end with EINTR on its own account: a cancellation at a cancellation point, signals that wait, a handler since
/// `handlers` were counted? Else it was a kick for the call that its OS thread made before, and the call is to be made again.
bool thread_was_interrupted(uint32_t handlers, bool cancel_point) noexcept;
/// What pthread_setattr_default_np(3) changed holds for later threads.
void thread_defaults_changed() noexcept;
/// Scheduling policy and priority are kept for who asks; they change nothing. -EINVAL, -EPERM.
int thread_get_policy(pthread_t thread, int* policy, int* priority) noexcept;
int thread_set_policy(pthread_t thread, int policy, int priority) noexcept;
/// A platform thread's, main's perhaps, has been changed.
void thread_note_policy() noexcept;
/// The caller's nice value and timer slack (ns; 0 to set: the default), kept likewise. Main's are its OS thread's: it only notes them,
/// for the threads that it makes. -EACCES. @signal safe
int thread_get_nice() noexcept;
int thread_set_nice(int nice) noexcept;
void thread_note_nice(int nice) noexcept;
unsigned long thread_get_slack() noexcept;
void thread_set_slack(unsigned long slack) noexcept;
/// pthread_getcpuclockid(3): -ESRCH.
int thread_cpu_clock(pthread_t thread, clockid_t* clock) noexcept;
/// The CPU time of a virtual thread by such a clock, or the caller's by CLOCK_THREAD_CPUTIME_ID; counted from the first such question on.
/// -EINVAL; kNotVirtual: another clock, or a platform thread's. `time` may be null. @signal safe
int clock_of_thread(clockid_t clock, timespec* time) noexcept;
int thread_set_name(pthread_t thread, const char* name) noexcept;
/// A platform thread, or main, has another name.
void thread_note_name() noexcept;
int thread_get_name(pthread_t thread, char* buffer, size_t size) noexcept;
/// pthread_kill(3) and pthread_sigqueue(3) for a virtual thread other than main: 0, -EINVAL, -EAGAIN. @signal safe
int thread_kill(pthread_t thread, int signal) noexcept;
int thread_queue(pthread_t thread, int signal, const siginfo_t* info) noexcept;
constexpr int kNotVirtual = 1;
/// pthread_kill(3) and tgkill(2) by another virtual thread for main, whose id is `id`: 0 or -errno. kNotVirtual: the caller is none, or it's another's. @signal safe
int main_kill(pid_t id, int signal) noexcept;
/// kill(2) and sigqueue(3) (`info`) for this process, where main blocks the signal and another virtual thread takes it, before the call returns, as with
/// Linux: 0 or -EAGAIN. kNotVirtual: the kernel shall do it. @signal safe
int process_queue(pid_t process, int signal, const siginfo_t* info) noexcept;
/// tgkill(2) and tkill(2) (`process` 0) for a virtual id: as thread_kill, or kNotVirtual where the kernel shall answer. @signal safe
int thread_tgkill(pid_t process, pid_t id, int signal) noexcept;
/// A timer whose signal is for a virtual thread: `event` is changed so that the kernel tells the monitor. `*signal` stays null for a
/// platform thread's. -EAGAIN: too many; -EINVAL. Then timer_signal_made() with the timer (null: it couldn't be made), and at its end _gone().
struct TimerSignal;
int timer_signal_begin(sigevent* event, TimerSignal** signal) noexcept;
void timer_signal_made(TimerSignal* signal, const timer_t* timer) noexcept;
void timer_signal_gone(timer_t timer) noexcept;
/// After an EPIPE: the SIGPIPE that the caller blocks is its own from here on, wherever it runs next.
void signal_take_pipe() noexcept;
/// Is main's OS thread what the caller, another, is on, so that the kernel shows main's pending signals among those of the process? Then those of the process alone.
bool signals_show_mains() noexcept;
uint64_t process_pending_signals() noexcept;
/// What is pending for the calling virtual thread alone; main's the kernel knows. @signal safe
uint64_t thread_pending_signals() noexcept;
/// The calling virtual thread's mask; as pthread_sigmask(3). Runs the handlers of what it unblocks.
int thread_sigmask(int how, const sigset_t* set, sigset_t* old) noexcept;
/// sigaction(2). @signal safe
int signal_action(int signal, const struct sigaction* action, struct sigaction* old) noexcept;
/// sigsuspend(2): waits until a handler has run under `mask`; null: under the present one (pause(2)). -EINTR, or kGoNative. @parks
int signal_suspend(const sigset_t* mask) noexcept;
/// sigtimedwait(2): the signal's number; null waits for ever. -EAGAIN, -EINTR, -EINVAL. @parks
int signal_wait(const sigset_t* set, siginfo_t* info, const timespec* timeout) noexcept;
/// Before a sigsetjmp that saves the mask: notes the caller's own in `env`, a jmp_buf. @signal safe
void signal_setjmp(void* env) noexcept;
/// Before any longjmp: one out of a signal handler may be main's to make, and then this doesn't return. @signal safe
void signal_longjmp(void* env, int value) noexcept;
/// A call that is about to be made has the kernel take `mask` for the caller's OS thread.
void signal_mask_follows(const sigset_t* mask) noexcept;
/// Around a wait with a mask of its own (ppoll, pselect, epoll_pwait): main's OS thread gets it, and what handlers run under it end the
/// wait. False: there is nothing to do, or to undo.
bool masked_call_begins(const sigset_t* mask, sigset_t* saved) noexcept;
void masked_call_ends(const sigset_t* saved) noexcept;
int thread_sigaltstack(const stack_t* stack, stack_t* old) noexcept;
int thread_set_affinity(pthread_t thread, size_t size, const cpu_set_t* set) noexcept;
int thread_get_affinity(pthread_t thread, size_t size, cpu_set_t* set) noexcept;
/// A platform thread has set its own: new threads inherit it.
void affinity_note_platform() noexcept;
/// Libc finds OS threads by the numbers in their thread areas (by main's handle; for set*id(2) all of them). With VTSHIM_TLS=swap that of the caller's
/// is shown from here until numbers_hide(), which the result 1 asks for. 0: nothing to do. -EAGAIN: others' aren't. @parks
int numbers_show() noexcept;
void numbers_hide() noexcept;
bool is_main_handle(pthread_t thread) noexcept;
/// What the calling virtual thread was created to run; null on others. @signal safe
void* (*thread_start_routine() noexcept)(void*);
/// The virtual id of the calling virtual thread. @signal safe
pid_t thread_id() noexcept;
/// exit(2) of the calling virtual thread, main excepted: it ends here and now, without clean-up of any kind.
[[noreturn]] void thread_exit_now() noexcept;
/// Records the destructor of a key that glibc created; null forgets it.
void key_created(pthread_key_t key, void (*destructor)(void*)) noexcept;
void key_deleted(pthread_key_t key) noexcept;

// ---------------------------------------------------------------- pins (core/): 0 or -errno

/// From here on the caller resumes on the same OS thread, which runs nobody else while the caller is parked; until as many unpin().
/// May first move to another OS thread. -EAGAIN: none can be had. A platform thread is where it is: 0. @parks
int pin() noexcept;
/// -EINVAL: not pinned.
int unpin() noexcept;
/// After a pin(): the caller has changed its OS thread for good (namespaces). It stays pinned, and the OS thread ends with it.
void pin_for_good() noexcept;
/// After a pin(), before a seccomp filter, which may forbid what the runtime does: from here on the caller waits as a platform thread does, and
/// its OS thread does nothing for the others. unbox: there was no filter.
void box() noexcept;
void unbox() noexcept;
bool is_boxed() noexcept;
/// Under VTSHIM_PIN=callback, which pins_callbacks() tells: asked by the parking thread at each park, inside the runtime (no locks, no
/// allocation, nothing that parks): must it be pinned for this park?
bool pins_callbacks() noexcept;
void set_callback_hook(int (*hook)()) noexcept;

/// Loads the unwinder. False: there is none. @thread any in user context
bool backtrace_prepare() noexcept;
/// From the caller upward, `visit` gets each frame's program counter and the start of the function around it (0: unknown), until it
/// returns false. No lock, no allocation; nothing happens unless prepared. Code without unwind tables ends it early. @thread any
void backtrace_visit(bool (*visit)(uintptr_t pc, uintptr_t function, void* arg), void* arg) noexcept;

// ---------------------------------------------------------------- processes
/// The OS-level signal mask of the calling thread becomes the virtual thread's, until `restore`:
/// what exec and posix_spawn hand down must be the program's mask, not the carrier's.
void mask_expose(sigset_t* saved) noexcept;
void mask_restore(const sigset_t* saved) noexcept;
/// Around vfork: while set, nothing parks (the child runs in our memory). @signal safe
void vfork_enter() noexcept;
void vfork_leave() noexcept;
/// Before an end that runs no destructors. @signal safe
void process_ends() noexcept;
/// Around an exec: while set, none of the runtime's signals is pending on the caller's OS thread, nor is sent there, since what is pending then ends the new
/// program. False: nothing to do (a platform thread, a child in our memory). What it says goes to the other one. @thread any, not in a section
bool exec_begins() noexcept;
void exec_failed(bool begun) noexcept;
/// First of all in a child that has our memory: its mask is the virtual thread's, and the kernel's affair from then on. @signal safe
void vfork_in_child() noexcept;
/// A child has the caller's memory and thread pointer, and runs beside it: it never parks, the caller does as before. -ENOTSUP on a slot.
int vfork_stay() noexcept;
/// What fork's handlers do, around calls that make a child without them (_Fork, clone). What fork_begins says goes to the other two.
/// @signal safe
bool fork_begins() noexcept;
void fork_ends_in_parent(bool begun) noexcept;
void fork_ends_in_child() noexcept;

// ---------------------------------------------------------------- synchronization (sync/): 0 or -errno

/// Process-shared, robust, priority-inheriting or -protecting: glibc's own functions serve it.
bool mutex_is_foreign(const pthread_mutex_t* mutex) noexcept;
int mutex_lock(pthread_mutex_t* mutex) noexcept;                       // @parks
int mutex_trylock(pthread_mutex_t* mutex) noexcept;
int mutex_timedlock(pthread_mutex_t* mutex, clockid_t clock, const timespec* deadline) noexcept;  // @parks
int mutex_unlock(pthread_mutex_t* mutex) noexcept;

/// Around libc's own calls on mutexes whose owner the kernel knows by its OS thread (robust, priority-inheriting, -protecting), on a
/// virtual thread: it is pinned, and bears the OS thread's number. `keeps`: the call has locked one, so it stays pinned until as many
/// foreign_let_go(). 0, or -EAGAIN: there is no OS thread for it. @parks
int foreign_begin() noexcept;
void foreign_end(bool keeps) noexcept;
void foreign_let_go() noexcept;
/// The kernel, or libc by it, tells its owner by the OS thread.
bool mutex_is_bound(const pthread_mutex_t* mutex) noexcept;

bool cond_is_foreign(const pthread_cond_t* cond) noexcept;
/// The clock that pthread_condattr_setclock chose.
clockid_t cond_clock(const pthread_cond_t* cond) noexcept;
int cond_wait(pthread_cond_t* cond, pthread_mutex_t* mutex, clockid_t clock, const timespec* deadline);  // @parks @cancel
/// The same with a mutex that isn't ours; `unlock` and `lock` return error numbers, which come back negative, and may park.
int cond_wait_around(pthread_cond_t* cond, pthread_mutex_t* mutex, clockid_t clock, const timespec* deadline, int (*unlock)(pthread_mutex_t*),
                     int (*lock)(pthread_mutex_t*));
int cond_signal(pthread_cond_t* cond) noexcept;
int cond_broadcast(pthread_cond_t* cond) noexcept;
int cond_destroy(pthread_cond_t* cond) noexcept;

bool sem_is_foreign(const sem_t* sem) noexcept;
int sem_acquire(sem_t* sem, clockid_t clock, const timespec* deadline);  // @parks @cancel; -EINTR on a platform thread
int sem_try(sem_t* sem) noexcept;
int sem_release(sem_t* sem) noexcept;  // @signal safe

bool rwlock_is_foreign(const pthread_rwlock_t* lock) noexcept;
int rwlock_read(pthread_rwlock_t* lock, clockid_t clock, const timespec* deadline) noexcept;   // @parks
int rwlock_write(pthread_rwlock_t* lock, clockid_t clock, const timespec* deadline) noexcept;  // @parks
int rwlock_try_read(pthread_rwlock_t* lock) noexcept;
int rwlock_try_write(pthread_rwlock_t* lock) noexcept;
int rwlock_unlock(pthread_rwlock_t* lock) noexcept;

bool barrier_is_foreign(const pthread_barrier_t* barrier) noexcept;
int barrier_init(pthread_barrier_t* barrier, unsigned count) noexcept;
int barrier_wait(pthread_barrier_t* barrier) noexcept;  // @parks; PTHREAD_BARRIER_SERIAL_THREAD (-1) once a round
int barrier_destroy(pthread_barrier_t* barrier) noexcept;

/// An address-keyed wait as futex(2) on private memory: -EAGAIN if *word != expected. `bits`: those of FUTEX_WAIT_BITSET. @parks
int futex_wait(const uint32_t* word, uint32_t expected, clockid_t clock, const timespec* deadline, uint32_t bits = ~0u) noexcept;
int futex_wake(const uint32_t* word, int count, uint32_t bits = ~0u) noexcept;  // how many were woken @signal safe
/// Seen by no other process, and may be written: what waits there needs no kernel (which refuses, or not, to wait on the rest). A few system
/// calls. @signal safe
bool is_own_memory(const void* p) noexcept;
/// FUTEX_REQUEUE: wakes up to `wakes`, then lets up to `moves` others wait on `to`: how many were woken; -EAGAIN if *from != *expected.
int futex_requeue(const uint32_t* from, int wakes, const uint32_t* to, int moves, const uint32_t* expected, int* moved) noexcept;

}  // namespace vt
