#include "core/loader_lock.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include "api.h"
#include "core/libc_calls.h"
#include "core/scheduler.h"

namespace vt {
namespace {
pthread_mutex_t* found = nullptr;
int (*find_object)(void*, dl_find_object*) = nullptr;  // since glibc 2.35

/// A recursive mutex by static initialization, whoever holds it.
bool is_recursive(const pthread_mutex_t& m) noexcept {
  return m.__data.__kind == PTHREAD_MUTEX_RECURSIVE_NP && !m.__data.__list.__prev && !m.__data.__list.__next;
}
}  // namespace

link_map* library_around(const void* address) noexcept {
  if (find_object) {
    dl_find_object object;
    return find_object(const_cast<void*>(address), &object) == 0 ? object.dlfo_link_map : nullptr;
  }
  Dl_info info;
  link_map* map = nullptr;
  return dladdr1(address, &info, (void**)&map, RTLD_DL_LINKMAP) ? map : nullptr;
}

void loader_lock_find() noexcept {
  find_object = reinterpret_cast<decltype(find_object)>(dlsym(RTLD_DEFAULT, "_dl_find_object"));
  void* global = dlsym(RTLD_DEFAULT, "_rtld_global");
  Dl_info info;
  Elf64_Sym* symbol = nullptr;
  if (!global || !dladdr1(global, &info, (void**)&symbol, RTLD_DL_SYMENT) || !symbol) return;
  // Three in a row: of loading, of the list of libraries, of TLS.
  constexpr size_t kStep = sizeof(long), kSize = 3 * sizeof(pthread_mutex_t);
  for (size_t at = 0; at + kSize <= symbol->st_size; at += kStep) {
    auto* m = (pthread_mutex_t*)((char*)global + at);
    if (!is_recursive(m[0]) || !is_recursive(m[1]) || !is_recursive(m[2])) continue;
    found = found ? nullptr : &m[2];
    if (!found) return;  // two such places: neither is known
  }
}

LoaderLock::LoaderLock(Patience patience) noexcept {
  if (!found) return;
  while (!(held_ = libc_calls.pthread_mutex_trylock(found) == 0) && patience == kPatient && can_park()) yield_now();
  may_go_on_ = held_;
}
LoaderLock::~LoaderLock() {
  if (held_) libc_calls.pthread_mutex_unlock(found);
}

}  // namespace vt
