// setuid(2) and its kin reach each OS thread by a signal of glibc's, whose handler marks in its thread area that the thread obeyed; the caller
// signals those that haven't again and again. On an OS thread of ours a virtual thread's area is mounted: the mark would go there, and the
// caller never be content. So the handler runs with the OS thread's own area mounted. Layer: core.
#pragma once

namespace vt {

/// After glibc's first pthread_create, which installs its handler: ours goes before it. Idempotent. @thread any
void set_id_install() noexcept;
/// This OS thread's own area is `tp`, whatever is mounted from here on; null: it ends, or mounts nothing any more. @thread carrier
void set_id_own_area(char* tp) noexcept;
/// In a forked child: the other OS threads are gone.
void set_id_after_fork() noexcept;

}  // namespace vt
