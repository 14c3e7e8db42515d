// The databases of nsswitch.conf from many threads at once, each by its two ways, and entry by entry: the same answers, errors included,
// in each thread as natively in main. The resolver with a name server that answers late. getpwnam(3), getgrnam(3), getservent(3),
// getprotoent(3), getnetent(3), getrpcent(3), getaliasent(3), getspnam(3), setnetgrent(3), ether_hostton(3), resolver(3).
#include "io.h"

#include <aliases.h>
#include <arpa/inet.h>
#include <grp.h>
#include <gshadow.h>
#include <netdb.h>
#include <netinet/ether.h>
#include <pwd.h>
#include <resolv.h>
#include <shadow.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { kRoom = 1 << 16 };

// One entry by name, in both ways: they agree, and `there` says whether there is one. `key`: in brackets.
#define UNBRACKET(...) __VA_ARGS__
#define AGREE(type, field, name, name_r, key, there)                                                  \
  do {                                                                                        \
    struct type entry_, *found_ = &entry_, *plain_;                                           \
    CHECK_EQ(name_r(UNBRACKET key, &entry_, room, kRoom, &found_), 0);                      \
    CHECK_EQ(found_ != NULL, (there));                                                        \
    pthread_mutex_lock(&plain_lock); /* one result for all */                                 \
    plain_ = name(UNBRACKET key);                                                             \
    CHECK_EQ(plain_ != NULL, (there));                                                        \
    if (there) CHECK_STR(plain_->field, found_->field);                                       \
    pthread_mutex_unlock(&plain_lock);                                                        \
  } while (0)
// All entries, in both ways: as many.
#define COUNT(type, name, name_r, set, end)                                             \
  do {                                                                          \
    struct type entry_, *found_;                                                \
    int plain_ = 0, again_ = 0;                                                 \
    pthread_mutex_lock(&plain_lock); /* one place in it for all */              \
    for (set; name() != NULL;) ++plain_;                                        \
    end;                                                                        \
    for (set; name_r(&entry_, room, kRoom, &found_) == 0;) ++again_;          \
    end;                                                                        \
    pthread_mutex_unlock(&plain_lock);                                          \
    CHECK_EQ(plain_, again_);                                                   \
  } while (0)

static pthread_mutex_t plain_lock = PTHREAD_MUTEX_INITIALIZER;

static void* look_up(void* arg) {
  char* room = malloc(kRoom);
  bool services = access("/etc/services", R_OK) == 0, protocols = access("/etc/protocols", R_OK) == 0, rpcs = access("/etc/rpc", R_OK) == 0;
  AGREE(passwd, pw_dir, getpwnam, getpwnam_r, ("root"), true);
  AGREE(passwd, pw_dir, getpwnam, getpwnam_r, ("no such user"), false);
  AGREE(passwd, pw_name, getpwuid, getpwuid_r, (0), true);
  AGREE(group, gr_name, getgrnam, getgrnam_r, ("root"), true);
  AGREE(group, gr_name, getgrgid, getgrgid_r, (0), true);
  AGREE(spwd, sp_namp, getspnam, getspnam_r, ("no such user"), false);
  AGREE(sgrp, sg_namp, getsgnam, getsgnam_r, ("no such group"), false);
  AGREE(servent, s_name, getservbyname, getservbyname_r, ("ssh", "tcp"), services);
  AGREE(servent, s_name, getservbyport, getservbyport_r, (htons(22), "tcp"), services);
  AGREE(protoent, p_name, getprotobyname, getprotobyname_r, ("udp"), protocols);
  AGREE(protoent, p_name, getprotobynumber, getprotobynumber_r, (6), protocols);
  AGREE(rpcent, r_name, getrpcbyname, getrpcbyname_r, ("portmapper"), rpcs);
  AGREE(rpcent, r_name, getrpcbynumber, getrpcbynumber_r, (100000), rpcs);
  COUNT(passwd, getpwent, getpwent_r, setpwent(), endpwent());
  COUNT(group, getgrent, getgrent_r, setgrent(), endgrent());
  COUNT(spwd, getspent, getspent_r, setspent(), endspent());
  COUNT(sgrp, getsgent, getsgent_r, setsgent(), endsgent());
  COUNT(protoent, getprotoent, getprotoent_r, setprotoent(0), endprotoent());
  COUNT(rpcent, getrpcent, getrpcent_r, setrpcent(0), endrpcent());
  struct servent service, *found_service;
  pthread_mutex_lock(&plain_lock);
  setservent(0);
  CHECK_EQ(getservent() != NULL, services);
  CHECK_EQ(getservent_r(&service, room, kRoom, &found_service) == 0, services);
  endservent();
  struct aliasent alias, *found_alias;
  getaliasbyname_r("no such alias", &alias, room, kRoom, &found_alias);
  CHECK(found_alias == NULL && getaliasbyname("no such alias") == NULL);
  setaliasent();
  CHECK_EQ(getaliasent() == NULL, getaliasent_r(&alias, room, kRoom, &found_alias) != 0);
  endaliasent();
  struct netent net, *found_net;
  struct hostent host, *found_host;
  int error;
  getnetbyname_r("no such net", &net, room, kRoom, &found_net, &error);
  CHECK(found_net == NULL && getnetbyname("no such net") == NULL);
  getnetbyaddr_r(0x7f000000, AF_INET, &net, room, kRoom, &found_net, &error);
  CHECK_EQ(found_net != NULL, getnetbyaddr(0x7f000000, AF_INET) != NULL);
  for (int way = 0; way < 2; ++way) {
    setnetent(0);
    while (way ? getnetent_r(&net, room, kRoom, &found_net, &error) == 0 : getnetent() != NULL) continue;
    endnetent();
    sethostent(0);
    int n = 0;
    while (way ? gethostent_r(&host, room, kRoom, &found_host, &error) == 0 : gethostent() != NULL) ++n;
    endhostent();
    CHECK(n >= 1);
  }
  CHECK_EQ(setnetgrent("no such group"), 0);
  endnetgrent();
  CHECK_EQ(innetgr("no such group", "a", "b", "c"), 0);
  struct ether_addr ether = {{1, 2, 3, 4, 5, 6}};
  CHECK(ether_ntohost(room, &ether) != 0);
  CHECK(ether_hostton("no such host", &ether) != 0);
  CHECK_EQ(gethostid(), gethostid());
  pthread_mutex_unlock(&plain_lock);
  gid_t groups[256];
  int count = 256;
  CHECK(getgrouplist("root", 0, groups, &count) >= 1);
  errno = 0;
  CHECK(initgroups("root", 0) == 0 || errno == EPERM);
  free(room);
  return arg;
}

// ---------------------------------------------------------------- a name server of our own, which takes its time

static struct sockaddr_in server;
static int server_fd;

static void* serve(void* arg) {
  unsigned char packet[512];
  for (;;) {
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    ssize_t n = recvfrom(server_fd, packet, sizeof packet - 16, 0, (struct sockaddr*)&from, &size);
    CHECK(n >= 1);
    if (n == 1) return arg;
    sleep_ms(2);
    packet[2] |= 0x80;  // an answer, with one record: 10.1.2.3
    packet[3] = 0x80;
    packet[7] = 1;
    packet[9] = packet[11] = 0;
    static const unsigned char record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 1, 2, 3};
    size_t question = 12;
    while (packet[question]) question += packet[question] + 1u;
    question += 5;
    memcpy(packet + question, record, sizeof record);
    CHECK_EQ(sendto(server_fd, packet, question + sizeof record, 0, (struct sockaddr*)&from, size), question + sizeof record);
  }
}

static void check_answer(const unsigned char* answer, int size) {
  CHECK(size > 16);
  CHECK(memcmp(answer + size - 4, "\12\1\2\3", 4) == 0);
}

static void use_server(struct __res_state* state) {
  state->nsaddr_list[0] = server;
  state->nscount = 1;
  state->retrans = 30;
  state->options &= ~(unsigned long)(RES_USE_EDNS0 | RES_DEFNAMES | RES_DNSRCH);
}

// As a linker bound them before glibc 2.34.
#define OLDER(name) __asm__(".symver older" #name ", " #name "@GLIBC_2.2.5")
OLDER(__res_query);
OLDER(__res_search);
OLDER(__res_querydomain);
OLDER(__res_send);
OLDER(__res_nquery);
OLDER(__res_nsearch);
OLDER(__res_nquerydomain);
OLDER(__res_nsend);
extern __typeof__(res_query) older__res_query;
extern __typeof__(res_search) older__res_search;
extern __typeof__(res_querydomain) older__res_querydomain;
extern __typeof__(res_send) older__res_send;
extern __typeof__(res_nquery) older__res_nquery;
extern __typeof__(res_nsearch) older__res_nsearch;
extern __typeof__(res_nquerydomain) older__res_nquerydomain;
extern __typeof__(res_nsend) older__res_nsend;

static void* resolve(void* arg) {
  unsigned char answer[512], query[512];
  struct __res_state state;
  memset(&state, 0, sizeof state);
  CHECK_EQ(res_init(), 0);
  CHECK_EQ(res_ninit(&state), 0);
  use_server(&_res);
  use_server(&state);
  int n = res_mkquery(QUERY, "a.test", C_IN, T_A, NULL, 0, NULL, query, sizeof query);
  CHECK(n > 0);
  check_answer(answer, res_query("a.test", C_IN, T_A, answer, sizeof answer));
  check_answer(answer, res_search("a.test", C_IN, T_A, answer, sizeof answer));
  check_answer(answer, res_querydomain("a", "test", C_IN, T_A, answer, sizeof answer));
  check_answer(answer, res_send(query, n, answer, sizeof answer));
  check_answer(answer, res_nquery(&state, "a.test", C_IN, T_A, answer, sizeof answer));
  check_answer(answer, res_nsearch(&state, "a.test", C_IN, T_A, answer, sizeof answer));
  check_answer(answer, res_nquerydomain(&state, "a", "test", C_IN, T_A, answer, sizeof answer));
  check_answer(answer, res_nsend(&state, query, n, answer, sizeof answer));
  check_answer(answer, older__res_query("a.test", C_IN, T_A, answer, sizeof answer));
  check_answer(answer, older__res_search("a.test", C_IN, T_A, answer, sizeof answer));
  check_answer(answer, older__res_querydomain("a", "test", C_IN, T_A, answer, sizeof answer));
  check_answer(answer, older__res_send(query, n, answer, sizeof answer));
  check_answer(answer, older__res_nquery(&state, "a.test", C_IN, T_A, answer, sizeof answer));
  check_answer(answer, older__res_nsearch(&state, "a.test", C_IN, T_A, answer, sizeof answer));
  check_answer(answer, older__res_nquerydomain(&state, "a", "test", C_IN, T_A, answer, sizeof answer));
  check_answer(answer, older__res_nsend(&state, query, n, answer, sizeof answer));
  res_nclose(&state);
  return arg;
}

int main(void) {
  look_up(NULL);
  run_everywhere(8, look_up);
  socklen_t size = sizeof server;
  CHECK_OK(server_fd = socket(AF_INET, SOCK_DGRAM, 0));
  server = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  CHECK_OK(bind(server_fd, (struct sockaddr*)&server, sizeof server));
  CHECK_OK(getsockname(server_fd, (struct sockaddr*)&server, &size));
  pthread_t thread = start_thread(serve, NULL);
  run_everywhere(8, resolve);
  CHECK_EQ(sendto(server_fd, "x", 1, 0, (struct sockaddr*)&server, size), 1);
  join_thread(thread);
  return 0;
}
