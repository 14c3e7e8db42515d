#include "shim/real.h"

#include <dlfcn.h>

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

void* look_up(Symbol symbol) noexcept {
  const Row& row = kRows[symbol];
  int saved = errno;
  void* p = dlvsym(RTLD_NEXT, row.name, row.version);
  if (!p) p = dlsym(RTLD_NEXT, row.name);
  errno = saved;
  if (!p) {
    complain("libc has no %s", row.name);
    abort();
  }
  __atomic_store_n(&real_functions[symbol], p, __ATOMIC_RELAXED);
  return p;
}

}  // namespace vt::shim
