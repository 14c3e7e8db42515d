// backtrace_*: by libgcc_s's unwinder, which is loaded only where somebody asks for it, since most programs have none. Layer: core.
#include <dlfcn.h>
#include <unwind.h>

#include <atomic>

#include "api.h"

namespace vt {
namespace {

decltype(&_Unwind_GetIP) get_ip;
decltype(&_Unwind_GetRegionStart) get_start;
std::atomic<decltype(&_Unwind_Backtrace)> walk{nullptr};

struct Visitor {
  bool (*visit)(uintptr_t, uintptr_t, void*);
  void* arg;
};

_Unwind_Reason_Code on_frame(_Unwind_Context* context, void* arg) {
  auto* v = static_cast<Visitor*>(arg);
  uintptr_t pc = get_ip(context);
  return pc && v->visit(pc, get_start(context), v->arg) ? _URC_NO_REASON : _URC_END_OF_STACK;
}

}  // namespace

bool backtrace_prepare() noexcept {
  if (walk.load(std::memory_order_acquire)) return true;
  void* lib = dlopen("libgcc_s.so.1", RTLD_NOW);
  if (!lib) return false;
  get_ip = reinterpret_cast<decltype(get_ip)>(dlsym(lib, "_Unwind_GetIP"));
  get_start = reinterpret_cast<decltype(get_start)>(dlsym(lib, "_Unwind_GetRegionStart"));
  auto found = reinterpret_cast<decltype(&_Unwind_Backtrace)>(dlsym(lib, "_Unwind_Backtrace"));
  if (!get_ip || !get_start || !found) return false;
  walk.store(found, std::memory_order_release);
  return true;
}

void backtrace_visit(bool (*visit)(uintptr_t, uintptr_t, void*), void* arg) noexcept {
  auto go = walk.load(std::memory_order_acquire);
  Visitor visitor{visit, arg};
  if (go) go(on_frame, &visitor);
}

}  // namespace vt
