// Name look-ups block in ways that only libc knows: announced. getaddrinfo(3), getnameinfo(3), gethostbyname(3), resolver(3).
#include <arpa/inet.h>
#include <net/if.h>
#include <resolv.h>
#include <string.h>

#include "shim/real.h"

namespace {
/// Libc asks nobody for these.
bool is_digits(const char* text) {
  if (!*text) return false;
  for (; *text; ++text)
    if (*text < '0' || *text > '9') return false;
  return true;
}
bool is_number(const char* host) {
  char address[INET6_ADDRSTRLEN];
  unsigned char bytes[sizeof(in6_addr)];
  in_addr v4;
  if (inet_aton(host, &v4)) return true;
  const char* scope = strchr(host, '%');
  size_t size = scope ? (size_t)(scope - host) : strlen(host);
  if (size >= sizeof address) return false;
  memcpy(address, host, size);
  address[size] = 0;
  return inet_pton(AF_INET6, address, bytes) == 1;
}
}  // namespace

VT_EXPORT int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** found) {
  constexpr int kOfNames = AI_CANONNAME | AI_IDN | AI_CANONIDN;  // they may ask after all
  int flags = hints ? hints->ai_flags : 0;
  bool in_place = (!service || flags & AI_NUMERICSERV || is_digits(service)) && (!node || flags & AI_NUMERICHOST || is_number(node)) && !(flags & kOfNames);
  if (in_place) {
    vt::shim::cancellation_point();
    return VT_REAL(getaddrinfo)(node, service, hints, found);
  }
  VT_LOOK_UP_CALL(getaddrinfo, node, service, hints, found);
}
VT_EXPORT int getnameinfo(const sockaddr* address, socklen_t size, char* host, socklen_t host_size, char* service,
                          socklen_t service_size, int flags) {
  bool in_place = (!host || !host_size || flags & NI_NUMERICHOST) && (!service || !service_size || flags & NI_NUMERICSERV);
  if (in_place) {
    vt::shim::cancellation_point();
    return VT_REAL(getnameinfo)(address, size, host, host_size, service, service_size, flags);
  }
  VT_LOOK_UP_CALL(getnameinfo, address, size, host, host_size, service, service_size, flags);
}
VT_EXPORT hostent* gethostbyname(const char* name) { VT_LOOK_UP_CALL(gethostbyname, name); }
VT_EXPORT hostent* gethostbyname2(const char* name, int family) { VT_LOOK_UP_CALL(gethostbyname2, name, family); }
VT_EXPORT hostent* gethostbyaddr(const void* address, socklen_t size, int family) {
  VT_LOOK_UP_CALL(gethostbyaddr, address, size, family);
}
VT_EXPORT int gethostbyname_r(const char* name, hostent* entry, char* buffer, size_t size, hostent** found, int* error) {
  VT_LOOK_UP_CALL(gethostbyname_r, name, entry, buffer, size, found, error);
}
VT_EXPORT int gethostbyname2_r(const char* name, int family, hostent* entry, char* buffer, size_t size, hostent** found, int* error) {
  VT_LOOK_UP_CALL(gethostbyname2_r, name, family, entry, buffer, size, found, error);
}
VT_EXPORT int gethostbyaddr_r(const void* address, socklen_t length, int family, hostent* entry, char* buffer, size_t size,
                              hostent** found, int* error) {
  VT_LOOK_UP_CALL(gethostbyaddr_r, address, length, family, entry, buffer, size, found, error);
}
VT_EXPORT long gethostid() { VT_LOOK_UP_CALL(gethostid); }

// ---------------------------------------------------------------- the resolver's own: resolver(3); the __res names are older binaries'

VT_EXPORT int res_query(const char* name, int kind, int type, unsigned char* answer, int size) {
  VT_LOOK_UP_CALL(res_query, name, kind, type, answer, size);
}
VT_EXPORT int res_search(const char* name, int kind, int type, unsigned char* answer, int size) {
  VT_LOOK_UP_CALL(res_search, name, kind, type, answer, size);
}
VT_EXPORT int res_querydomain(const char* name, const char* domain, int kind, int type, unsigned char* answer, int size) {
  VT_LOOK_UP_CALL(res_querydomain, name, domain, kind, type, answer, size);
}
VT_EXPORT int res_send(const unsigned char* query, int query_size, unsigned char* answer, int size) {
  VT_LOOK_UP_CALL(res_send, query, query_size, answer, size);
}
VT_EXPORT int res_nquery(res_state state, const char* name, int kind, int type, unsigned char* answer, int size) {
  VT_LOOK_UP_CALL(res_nquery, state, name, kind, type, answer, size);
}
VT_EXPORT int res_nsearch(res_state state, const char* name, int kind, int type, unsigned char* answer, int size) {
  VT_LOOK_UP_CALL(res_nsearch, state, name, kind, type, answer, size);
}
VT_EXPORT int res_nquerydomain(res_state state, const char* name, const char* domain, int kind, int type, unsigned char* answer,
                               int size) {
  VT_LOOK_UP_CALL(res_nquerydomain, state, name, domain, kind, type, answer, size);
}
VT_EXPORT int res_nsend(res_state state, const unsigned char* query, int query_size, unsigned char* answer, int size) {
  VT_LOOK_UP_CALL(res_nsend, state, query, query_size, answer, size);
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
