// Name look-ups block in ways that only libc knows: announced. getaddrinfo(3), getnameinfo(3), gethostbyname(3), resolver(3).
#include <resolv.h>

#include "shim/real.h"

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
VT_EXPORT long gethostid() { VT_BLOCKING(gethostid); }

// ---------------------------------------------------------------- the resolver's own: resolver(3); the __res names are older binaries'

VT_EXPORT int res_query(const char* name, int kind, int type, unsigned char* answer, int size) {
  VT_BLOCKING(res_query, name, kind, type, answer, size);
}
VT_EXPORT int res_search(const char* name, int kind, int type, unsigned char* answer, int size) {
  VT_BLOCKING(res_search, name, kind, type, answer, size);
}
VT_EXPORT int res_querydomain(const char* name, const char* domain, int kind, int type, unsigned char* answer, int size) {
  VT_BLOCKING(res_querydomain, name, domain, kind, type, answer, size);
}
VT_EXPORT int res_send(const unsigned char* query, int query_size, unsigned char* answer, int size) {
  VT_BLOCKING(res_send, query, query_size, answer, size);
}
VT_EXPORT int res_nquery(res_state state, const char* name, int kind, int type, unsigned char* answer, int size) {
  VT_BLOCKING(res_nquery, state, name, kind, type, answer, size);
}
VT_EXPORT int res_nsearch(res_state state, const char* name, int kind, int type, unsigned char* answer, int size) {
  VT_BLOCKING(res_nsearch, state, name, kind, type, answer, size);
}
VT_EXPORT int res_nquerydomain(res_state state, const char* name, const char* domain, int kind, int type, unsigned char* answer,
                               int size) {
  VT_BLOCKING(res_nquerydomain, state, name, domain, kind, type, answer, size);
}
VT_EXPORT int res_nsend(res_state state, const unsigned char* query, int query_size, unsigned char* answer, int size) {
  VT_BLOCKING(res_nsend, state, query, query_size, answer, size);
}
VT_EXPORT int __res_query(const char* name, int kind, int type, unsigned char* answer, int size) {
  return res_query(name, kind, type, answer, size);
}
VT_EXPORT int __res_search(const char* name, int kind, int type, unsigned char* answer, int size) {
  return res_search(name, kind, type, answer, size);
}
VT_EXPORT int __res_querydomain(const char* name, const char* domain, int kind, int type, unsigned char* answer, int size) {
  return res_querydomain(name, domain, kind, type, answer, size);
}
VT_EXPORT int __res_send(const unsigned char* query, int query_size, unsigned char* answer, int size) {
  return res_send(query, query_size, answer, size);
}
VT_EXPORT int __res_nquery(res_state state, const char* name, int kind, int type, unsigned char* answer, int size) {
  return res_nquery(state, name, kind, type, answer, size);
}
VT_EXPORT int __res_nsearch(res_state state, const char* name, int kind, int type, unsigned char* answer, int size) {
  return res_nsearch(state, name, kind, type, answer, size);
}
VT_EXPORT int __res_nquerydomain(res_state state, const char* name, const char* domain, int kind, int type, unsigned char* answer,
                                 int size) {
  return res_nquerydomain(state, name, domain, kind, type, answer, size);
}
VT_EXPORT int __res_nsend(res_state state, const unsigned char* query, int query_size, unsigned char* answer, int size) {
  return res_nsend(state, query, query_size, answer, size);
}
