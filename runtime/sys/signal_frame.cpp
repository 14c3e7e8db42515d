#include "sys/signal_frame.h"

#include <string.h>

#include "sys/signal_bits.h"

// By these bytes unwinders know a signal's frame; the instruction before mustn't belong to a function.
asm(R"(
    .text
    .hidden vt_signal_return
    .type vt_signal_return, @function
    nop
    .p2align 4
    nop
vt_signal_return:
    movq $15, %rax
    syscall
    .size vt_signal_return, .-vt_signal_return
)");
extern "C" void vt_signal_return();

namespace vt::sys {
namespace {

/// What the kernel writes into bytes that the FPU's format leaves free.
struct FpuNote {
  static constexpr unsigned kAt = 464, kMagic = 0x46505853, kPlain = 512;
  uint32_t magic, size;
};

unsigned fpu_size(const void* state) noexcept {
  FpuNote note;
  memcpy(&note, (const char*)state + FpuNote::kAt, sizeof note);
  return note.magic == FpuNote::kMagic ? note.size : FpuNote::kPlain;
}

}  // namespace

void move_signal_frame(ucontext_t* uc, const siginfo_t& info, char* top, void (*run)(SignalFrame*)) noexcept {
  constexpr uintptr_t kFpuAlignment = 64, kAlignment = 16;
  constexpr greg_t kDirection = 0x400, kTrap = 0x100, kResume = 0x10000;
  auto& registers = uc->uc_mcontext.gregs;
  auto sp = (uintptr_t)top;
  void* fpu = nullptr;
  if (const void* state = uc->uc_mcontext.fpregs) {
    unsigned size = fpu_size(state);
    sp = (sp - size) & ~(kFpuAlignment - 1);
    memcpy(fpu = (void*)sp, state, size);
  }
  // As after a call: the return address is the frame's first word.
  sp = ((sp - sizeof(SignalFrame)) & ~(kAlignment - 1)) - sizeof(void*);
  auto* frame = (SignalFrame*)sp;
  frame->restorer = vt_signal_return;
  memcpy(frame->context, uc, SignalFrame::kContext);
  frame->info = info;
  frame->uc()->uc_mcontext.fpregs = (fpregset_t)fpu;
  registers[REG_RIP] = (greg_t)run;
  registers[REG_RSP] = (greg_t)sp;
  registers[REG_RDI] = (greg_t)sp;
  registers[REG_EFL] &= ~(kDirection | kTrap | kResume);
  uc->uc_mcontext.fpregs = nullptr;  // as at a handler's start
  uint64_t all = ~kLibcSignals;
  memcpy(&uc->uc_sigmask, &all, sizeof all);
}

}  // namespace vt::sys
