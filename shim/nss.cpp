// The other databases of nsswitch.conf: a look-up may go to files, or to a daemon or server elsewhere, as a module of the system's
// has it. Announced. getpwnam(3), getgrnam(3), getspnam(3), getservent(3), getprotoent(3), getnetent(3), getrpcent(3),
// getaliasent(3), setnetgrent(3), ether_ntohost(3).
#include <aliases.h>
#include <grp.h>
#include <gshadow.h>
#include <netinet/ether.h>
#include <pwd.h>
#include <shadow.h>

#include "shim/real.h"

/// name(key…), name_r(key…, entry, buffer, size, found): the database's two ways to ask for one entry.
#define VT_UNBRACKET(...) __VA_ARGS__
#define VT_LOOK_UP(entry, name, parameters, arguments)                                                                  \
  VT_EXPORT entry* name(VT_UNBRACKET parameters) { VT_LOOK_UP_CALL(name, VT_UNBRACKET arguments); }                         \
  VT_EXPORT int name##_r(VT_UNBRACKET parameters, entry* result, char* buffer, size_t size, entry** found) {            \
    VT_LOOK_UP_CALL(name##_r, VT_UNBRACKET arguments, result, buffer, size, found);                                         \
  }
/// The entry after the last one.
#define VT_NEXT(entry, name)                                                                                            \
  VT_EXPORT entry* name() { VT_LOOK_UP_CALL(name); }                                                                        \
  VT_EXPORT int name##_r(entry* result, char* buffer, size_t size, entry** found) {                                     \
    VT_LOOK_UP_CALL(name##_r, result, buffer, size, found);                                                                 \
  }

VT_LOOK_UP(passwd, getpwnam, (const char* name), (name))
VT_LOOK_UP(passwd, getpwuid, (uid_t id), (id))
VT_NEXT(passwd, getpwent)
VT_LOOK_UP(group, getgrnam, (const char* name), (name))
VT_LOOK_UP(group, getgrgid, (gid_t id), (id))
VT_NEXT(group, getgrent)
VT_LOOK_UP(spwd, getspnam, (const char* name), (name))
VT_NEXT(spwd, getspent)
VT_LOOK_UP(sgrp, getsgnam, (const char* name), (name))
VT_NEXT(sgrp, getsgent)
VT_LOOK_UP(servent, getservbyname, (const char* name, const char* protocol), (name, protocol))
VT_LOOK_UP(servent, getservbyport, (int port, const char* protocol), (port, protocol))
VT_NEXT(servent, getservent)
VT_LOOK_UP(protoent, getprotobyname, (const char* name), (name))
VT_LOOK_UP(protoent, getprotobynumber, (int number), (number))
VT_NEXT(protoent, getprotoent)
VT_LOOK_UP(rpcent, getrpcbyname, (const char* name), (name))
VT_LOOK_UP(rpcent, getrpcbynumber, (int number), (number))
VT_NEXT(rpcent, getrpcent)
VT_LOOK_UP(aliasent, getaliasbyname, (const char* name), (name))
VT_NEXT(aliasent, getaliasent)

VT_EXPORT int initgroups(const char* user, gid_t group) {
  if (vt::shim::NumbersShown shown; shown.is_needed()) return shown.error() ? (errno = shown.error(), -1) : VT_REAL(initgroups)(user, group);
  VT_LOOK_UP_CALL(initgroups, user, group);
}
VT_EXPORT int getgrouplist(const char* user, gid_t group, gid_t* groups, int* count) {
  VT_LOOK_UP_CALL(getgrouplist, user, group, groups, count);
}

// These four also tell h_errno.
VT_EXPORT netent* getnetbyname(const char* name) { VT_LOOK_UP_CALL(getnetbyname, name); }
VT_EXPORT netent* getnetbyaddr(uint32_t net, int type) { VT_LOOK_UP_CALL(getnetbyaddr, net, type); }
VT_EXPORT netent* getnetent() { VT_LOOK_UP_CALL(getnetent); }
VT_EXPORT hostent* gethostent() { VT_LOOK_UP_CALL(gethostent); }
VT_EXPORT int getnetbyname_r(const char* name, netent* result, char* buffer, size_t size, netent** found, int* error) {
  VT_LOOK_UP_CALL(getnetbyname_r, name, result, buffer, size, found, error);
}
VT_EXPORT int getnetbyaddr_r(uint32_t net, int type, netent* result, char* buffer, size_t size, netent** found, int* error) {
  VT_LOOK_UP_CALL(getnetbyaddr_r, net, type, result, buffer, size, found, error);
}
VT_EXPORT int getnetent_r(netent* result, char* buffer, size_t size, netent** found, int* error) {
  VT_LOOK_UP_CALL(getnetent_r, result, buffer, size, found, error);
}
VT_EXPORT int gethostent_r(hostent* result, char* buffer, size_t size, hostent** found, int* error) {
  VT_LOOK_UP_CALL(gethostent_r, result, buffer, size, found, error);
}

VT_EXPORT int setnetgrent(const char* group) { VT_LOOK_UP_CALL(setnetgrent, group); }
VT_EXPORT int innetgr(const char* group, const char* host, const char* user, const char* domain) {
  VT_LOOK_UP_CALL(innetgr, group, host, user, domain);
}
VT_EXPORT int ether_hostton(const char* name, ether_addr* address) { VT_LOOK_UP_CALL(ether_hostton, name, address); }
VT_EXPORT int ether_ntohost(char* name, const ether_addr* address) { VT_LOOK_UP_CALL(ether_ntohost, name, address); }
