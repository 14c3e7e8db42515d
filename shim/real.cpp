#include "shim/real.h"

#include <dlfcn.h>

#include "shim/stdio_waits.h"

namespace vt::shim {

void* real_functions[kSymbolCount];

namespace {
struct Row {
  const char* name;
  const char* version;
};
constexpr Row kRows[] = {
#define VT_ROW(name, version, ...) {#name, version},
#include "shim/interpose.def"
#undef VT_ROW
};
}  // namespace

namespace {
void* find(unsigned symbol) noexcept {
  const Row& row = kRows[symbol];
  int saved = errno;
  void* p = dlvsym(RTLD_NEXT, row.name, row.version);
  if (!p) p = dlsym(RTLD_NEXT, row.name);
  errno = saved;
  if (p) __atomic_store_n(&real_functions[symbol], p, __ATOMIC_RELAXED);
  return p;
}
}  // namespace

void* look_up(Symbol symbol) noexcept {
  if (void* p = find(symbol)) return p;
  complain("libc has no %s", kRows[symbol].name);
  abort();
}

void look_up_all() noexcept {
  static bool done = false;
  if (__atomic_load_n(&done, __ATOMIC_RELAXED)) return;
  __atomic_store_n(&done, true, __ATOMIC_RELAXED);
  for (unsigned i = 0; i < kSymbolCount; ++i)
    if (!__atomic_load_n(&real_functions[i], __ATOMIC_RELAXED)) find(i);
  stdio_take_over();
}

}  // namespace vt::shim
