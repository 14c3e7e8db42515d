// Opens the shared library lib<name>.so that the build puts beside the test program.
#ifndef VTSHIM_TESTS_BEHAVIOUR_TLS_OPEN_LIB_H
#define VTSHIM_TESTS_BEHAVIOUR_TLS_OPEN_LIB_H

#include "../check.h"

#include <dlfcn.h>

static inline void* open_lib(const char* name) {
  char path[4096];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 256);
  CHECK(length > 0);
  path[length] = '\0';
  char* slash = strrchr(path, '/');
  CHECK(slash != NULL);
  snprintf(slash + 1, 250, "lib%s.so", name);
  void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) check_fail(__FILE__, __LINE__, errno, "dlopen: %s", dlerror());
  return handle;
}

// The address of a function in the library, as an object pointer (POSIX guarantees that this works).
static inline void* find_in_lib(void* handle, const char* symbol) {
  void* address = dlsym(handle, symbol);
  if (address == NULL) check_fail(__FILE__, __LINE__, errno, "dlsym: %s", dlerror());
  return address;
}

#endif  // VTSHIM_TESTS_BEHAVIOUR_TLS_OPEN_LIB_H
