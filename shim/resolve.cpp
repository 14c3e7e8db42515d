// Name look-ups block in ways that only libc knows: announced. getaddrinfo(3), getnameinfo(3), gethostbyname(3).
#include "shim/real.h"

#define VT_BLOCKING(name, ...)                                                \
  if (!vt::can_park()) return VT_REAL(name)(__VA_ARGS__);                     \
  decltype(VT_REAL(name)(__VA_ARGS__)) result{};                              \
  vt::blocking([&] { result = VT_REAL(name)(__VA_ARGS__); });                 \
  return result

VT_EXPORT int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** found) {
  VT_BLOCKING(getaddrinfo, node, service, hints, found);
}
VT_EXPORT int getnameinfo(const sockaddr* address, socklen_t size, char* host, socklen_t host_size, char* service,
                          socklen_t service_size, int flags) {
  VT_BLOCKING(getnameinfo, address, size, host, host_size, service, service_size, flags);
}
VT_EXPORT hostent* gethostbyname(const char* name) { VT_BLOCKING(gethostbyname, name); }
VT_EXPORT hostent* gethostbyname2(const char* name, int family) { VT_BLOCKING(gethostbyname2, name, family); }
VT_EXPORT hostent* gethostbyaddr(const void* address, socklen_t size, int family) {
  VT_BLOCKING(gethostbyaddr, address, size, family);
}
VT_EXPORT int gethostbyname_r(const char* name, hostent* entry, char* buffer, size_t size, hostent** found, int* error) {
  VT_BLOCKING(gethostbyname_r, name, entry, buffer, size, found, error);
}
VT_EXPORT int gethostbyname2_r(const char* name, int family, hostent* entry, char* buffer, size_t size, hostent** found, int* error) {
  VT_BLOCKING(gethostbyname2_r, name, family, entry, buffer, size, found, error);
}
VT_EXPORT int gethostbyaddr_r(const void* address, socklen_t length, int family, hostent* entry, char* buffer, size_t size,
                              hostent** found, int* error) {
  VT_BLOCKING(gethostbyaddr_r, address, length, family, entry, buffer, size, found, error);
}
