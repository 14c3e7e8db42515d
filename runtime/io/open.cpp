// open(2), which waits for a FIFO's other end, or for a device: announced then, and only then. Layer: io.
//
// To look first costs a call, so nobody does before the process has shown that it has such files: it made a FIFO, or one of its
// opens was so slow that the monitor ejected the thread.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <atomic>

#include "api.h"
#include "base/config.h"
#include "core/main_thread.h"
#include "core/scheduler.h"
#include "io/operations.h"

namespace vt {
namespace {

using sys::raw;

std::atomic<bool> fifos_in_use{false};

bool may_wait(int folder, const char* path, int flags) noexcept {
  constexpr unsigned kMemory = 1;  // major number of null, zero, urandom and their like
  if (!fifos_in_use.load(std::memory_order_relaxed) || (flags & (O_NONBLOCK | O_PATH | O_DIRECTORY))) return false;
  struct stat s;
  if (raw(SYS_newfstatat, folder, path, &s, flags & O_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0) < 0) return false;
  return (S_ISFIFO(s.st_mode) && (flags & O_ACCMODE) != O_RDWR) || (S_ISCHR(s.st_mode) && major(s.st_rdev) != kMemory);
}

}  // namespace

void io_note_fifo() noexcept { fifos_in_use.store(true, std::memory_order_relaxed); }

int io_open(int folder, const char* path, int flags, mode_t mode) noexcept {
  if (config.chaos) chaos_yield();
  if (may_wait(folder, path, flags)) return (int)call_blocking(SYS_openat, folder, path, flags, mode);
  Carrier* before = current()->carrier;
  long r = raw(SYS_openat, folder, path, flags, mode);
  if (current()->carrier != before) io_note_fifo();  // ejected meanwhile
  return (int)r;
}

}  // namespace vt
