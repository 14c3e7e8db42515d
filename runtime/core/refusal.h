// Why threads stay native: one line, with the likely cause and what to do. Layer: core.
#pragma once

namespace vt {

/// The runtime couldn't be started: a positive errno.
void refusal_tell(int error) noexcept;
/// A call of the ring's was refused. Which one, for the line above. @thread any @signal safe
void refusal_note_call(const char* call) noexcept;
/// There is no ring, and carriers wait by epoll. At level info: all works.
void refusal_tell_other_way(int error) noexcept;
/// The ring that a carrier has used up to now is refused from here on: one line, once in a process. @thread scheduler
void refusal_tell_late(int error) noexcept;
/// Under valgrind there is one OS thread at a time, and thread areas are its own affair.
bool refusal_by_valgrind() noexcept;

}  // namespace vt
