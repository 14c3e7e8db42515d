// VTSHIM_TLS=swap: for hosts where to write FS takes a system call. A carrier keeps its FS, and to mount a thread exchanges the *contents* of
// the thread area there. Such a carrier is a *slot*: a TLS address belongs to it, so a thread that has run there runs nowhere else (bound),
// but for blocking calls, during which it runs on the area that keeps its contents. HACKING.md, "swap". Layer: core.
//
//   Carrier::own_tp     where FS points for good
//   Carrier::mounted    the area whose contents stand there; null: nobody's that matter, or they are being brought in
//   VThread::area       where the contents of a thread are kept meanwhile: its own thread area; main's, a shadow of it
//   VThread::tls_at     what the static TLS in its DTV refers to: the slot, or `area`
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace vt {

struct Carrier;
struct VThread;
struct MainThread;

/// Decided once, before the first carrier.
extern bool swaps;

/// Whether this process can do with it; else one line says why not.
bool slots_allowed() noexcept;
/// On a slot no time slice ends in malloc's code: the next thread may want its lock in a section, and wait where nobody can take it off the slot. Nor in
/// libc's or ld.so's, for a while: these have locks, too.
enum class CodeOf : uint8_t { kOthers, kLibc, kMalloc };
void slots_know_libc() noexcept;  // @thread user context, once
CodeOf code_of(uintptr_t pc) noexcept;
/// A library has been loaded that can't do with it: one line. @thread any in user context
void slots_look_at_libraries() noexcept;

/// The contents of `v` come to `c`. @thread scheduler of c
void slot_mount(Carrier* c, VThread* v) noexcept;
/// Those that stand at `c` go to where they are kept: their thread may run elsewhere now, or has ended. @thread scheduler of c, or the thread in a section
void slot_save(Carrier* c) noexcept;
/// What `c` will need, where contents are exchanged. False: no memory. @thread any, in user context
bool slot_reserve(Carrier* c, bool of_main) noexcept;
/// At a carrier's start: what stands there is its own, or main's. @thread the carrier
void slot_begin(Carrier* c) noexcept;
/// At its end: its own comes back.
void slot_end(Carrier* c) noexcept;

/// In a signal handler on the main OS thread: main's contents, mounted for the handler's time. @signal safe
class MainMounted {
 public:
  MainMounted(Carrier* c, MainThread* m) noexcept;
  ~MainMounted();
  MainMounted(const MainMounted&) = delete;
  MainMounted& operator=(const MainMounted&) = delete;

 private:
  Carrier* c_;
  MainThread* main_;
  char* before_ = nullptr;  // FS; null: it wasn't changed
};
/// Where main's contents are now. @thread the main OS thread
char* main_area_now(const MainThread* m) noexcept;

/// Does [p, p + 1) lie in the thread area that the caller's thread-local variables are in, on a slot? Such memory is somebody else's while it waits.
bool in_slot(const void* p) noexcept;
/// Does what is captured there lead to such memory, itself or by way of the caller's stack? Then the call must be made in place.
bool leads_to_slot(const void* captured, size_t size) noexcept;
/// Where the caller's memory at `p`, in_slot(), will be while it waits; its contents go there now. In a section, which ends with slot_return().
void* slot_leave(const void* p) noexcept;
/// They come back, if nobody else's have been here.
void slot_return() noexcept;

}  // namespace vt
