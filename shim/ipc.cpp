// Queues and semaphores of the kernel's that have no descriptor to wait on, and libc's asynchronous I/O. Tried first where a call can be
// asked not to wait, then announced. msgop(2), semop(2), mq_receive(3), mq_send(3), aio_suspend(3), lio_listio(3), getaddrinfo_a(3).
#include <aio.h>
#include <mqueue.h>
#include <sys/msg.h>
#include <sys/sem.h>

#include "shim/real.h"
#include "sys/clock.h"

using vt::shim::announced_if_busy;

VT_EXPORT ssize_t msgrcv(int queue, void* message, size_t size, long type, int flags) {
  if ((flags & IPC_NOWAIT) || !vt::can_park()) return VT_REAL(msgrcv)(queue, message, size, type, flags);
  return announced_if_busy<vt::shim::k_msgrcv>(ENOMSG, [&] { return VT_REAL(msgrcv)(queue, message, size, type, flags | IPC_NOWAIT); }, SYS_msgrcv, queue, message,
                                               size, type, flags);
}
VT_EXPORT int msgsnd(int queue, const void* message, size_t size, int flags) {
  if ((flags & IPC_NOWAIT) || !vt::can_park()) return VT_REAL(msgsnd)(queue, message, size, flags);
  return (int)announced_if_busy<vt::shim::k_msgsnd>(EAGAIN, [&] { return VT_REAL(msgsnd)(queue, message, size, flags | IPC_NOWAIT); }, SYS_msgsnd, queue, message,
                                                    size, flags);
}

// A time that has passed asks them not to wait. Theirs is checked before all else, so the timed ones are announced at once.
namespace {
constexpr timespec kPast{0, 0};
}  // namespace

VT_EXPORT int semop(int set, sembuf* operations, size_t count) {
  if (!vt::can_park()) return VT_REAL(semop)(set, operations, count);
  return (int)announced_if_busy<vt::shim::k_semop>(EAGAIN, [&] { return VT_REAL(semtimedop)(set, operations, count, &kPast); }, SYS_semop, set, operations, count);
}
VT_EXPORT int semtimedop(int set, sembuf* operations, size_t count, const timespec* timeout) {
  if (!vt::can_park()) return VT_REAL(semtimedop)(set, operations, count, timeout);
  uint32_t handlers = vt::handlers_before_call();
  uint64_t start = vt::sys::now();
  timespec left;
  const timespec* rest = timeout;
  for (;;) {  // not as announced_system_call(): the time is relative
    long r = vt::blocking_system_call(false, SYS_semtimedop, {set, (long)operations, (long)count, (long)rest});
    if (r != -EINTR || vt::thread_was_interrupted(handlers, false)) return (int)vt::shim::call_result<vt::shim::k_semtimedop>(r);
    if (timeout) left = vt::sys::time_left(start, *timeout), rest = &left;
  }
}

// A queue that is O_NONBLOCK says EAGAIN before it looks at the time.
VT_EXPORT ssize_t mq_receive(mqd_t queue, char* message, size_t size, unsigned* priority) {
  if (!vt::can_park()) return VT_REAL(mq_receive)(queue, message, size, priority);
  return announced_if_busy<vt::shim::k_mq_receive>(ETIMEDOUT, [&] { return VT_REAL(mq_timedreceive)(queue, message, size, priority, &kPast); },
                                                   SYS_mq_timedreceive, queue, message, size, priority, nullptr);
}
VT_EXPORT int mq_send(mqd_t queue, const char* message, size_t size, unsigned priority) {
  if (!vt::can_park()) return VT_REAL(mq_send)(queue, message, size, priority);
  return (int)announced_if_busy<vt::shim::k_mq_send>(ETIMEDOUT, [&] { return VT_REAL(mq_timedsend)(queue, message, size, priority, &kPast); },
                                                     SYS_mq_timedsend, queue, message, size, priority, nullptr);
}
VT_EXPORT ssize_t mq_timedreceive(mqd_t queue, char* message, size_t size, unsigned* priority, const timespec* deadline) {
  VT_BLOCKING_CALL(mq_timedreceive, queue, message, size, priority, deadline);
}
VT_EXPORT int mq_timedsend(mqd_t queue, const char* message, size_t size, unsigned priority, const timespec* deadline) {
  VT_BLOCKING_CALL(mq_timedsend, queue, message, size, priority, deadline);
}

// ---------------------------------------------------------------- libc's helper threads, which are platform threads, do the work

VT_EXPORT int aio_suspend64(const aiocb64* const list[], int count, const timespec* timeout) {
  VT_BLOCKING(aio_suspend64, list, count, timeout);
}
VT_EXPORT int aio_suspend(const aiocb* const list[], int count, const timespec* timeout) {
  VT_BLOCKING(aio_suspend, list, count, timeout);
}
VT_EXPORT int lio_listio64(int mode, aiocb64* const list[], int count, sigevent* event) {
  if (mode != LIO_WAIT) return VT_REAL(lio_listio64)(mode, list, count, event);
  VT_BLOCKING(lio_listio64, mode, list, count, event);
}
VT_EXPORT int lio_listio(int mode, aiocb* const list[], int count, sigevent* event) {
  if (mode != LIO_WAIT) return VT_REAL(lio_listio)(mode, list, count, event);
  VT_BLOCKING(lio_listio, mode, list, count, event);
}
VT_EXPORT int gai_suspend(const gaicb* const list[], int count, const timespec* timeout) { VT_BLOCKING(gai_suspend, list, count, timeout); }
VT_EXPORT int getaddrinfo_a(int mode, gaicb* list[], int count, sigevent* event) {
  if (mode != GAI_WAIT) return VT_REAL(getaddrinfo_a)(mode, list, count, event);
  VT_BLOCKING(getaddrinfo_a, mode, list, count, event);
}
