// What is known of descriptors and asked of the kernel only once: O_NONBLOCK, what is no file, which tries were in vain; and the socket
// options that change how a call waits, asked for only once the program has set one. Layer: io. @thread any
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace vt {

/// Would a call on it return at once, whatever there is? True also for what is no descriptor: the call itself says so.
bool is_nonblocking(int fd) noexcept;
/// The same, of the kernel.
bool ask_nonblocking(int fd) noexcept;
/// Is it worth a call that may not block? And what came of it.
bool worth_a_try(int fd) noexcept;
void note_try(int fd, bool hit) noexcept;
/// Short counts on streams are frequent, so what is none is remembered.
bool may_be_file(int fd) noexcept;
/// A stream socket? Asked of the kernel once for each; only steers, since behind our back the number may come to be another file's. False for 0 to 2.
bool seems_stream_socket(int fd) noexcept;
/// What SO_RCVTIMEO or SO_SNDTIMEO says, as a deadline.
uint64_t socket_deadline(int fd, int option) noexcept;
/// SO_RCVLOWAT is more than one byte: a call that may not block would take less.
bool has_low_water(int fd) noexcept;

}  // namespace vt
