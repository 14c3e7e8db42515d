// getaddrinfo, getnameinfo and gethostbyname from many threads at once: numbers, localhost, services, and the errors
// that need no network; others go on meanwhile. getaddrinfo(3), getnameinfo(3).
#include "io.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdatomic.h>

enum { kThreads = 24, kRounds = 10 };

static void look_up(const char* node, const char* service, int flags, int family, const char* address, int port) {
  struct addrinfo hints = {.ai_flags = flags, .ai_family = family, .ai_socktype = SOCK_STREAM}, *found = NULL;
  CHECK_EQ(getaddrinfo(node, service, &hints, &found), 0);
  CHECK(found != NULL);
  CHECK_EQ(found->ai_family, family);
  CHECK_EQ(found->ai_socktype, SOCK_STREAM);
  char text[INET6_ADDRSTRLEN];
  const void* raw = family == AF_INET ? (void*)&((struct sockaddr_in*)found->ai_addr)->sin_addr
                                      : (void*)&((struct sockaddr_in6*)found->ai_addr)->sin6_addr;
  CHECK(inet_ntop(family, raw, text, sizeof text) != NULL);
  CHECK_STR(text, address);
  CHECK_EQ(ntohs(((struct sockaddr_in*)found->ai_addr)->sin_port), port);  // at the same place in both
  char host[64], number[16];
  CHECK_EQ(getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof host, number, sizeof number,
                       NI_NUMERICHOST | NI_NUMERICSERV),
           0);
  CHECK_STR(host, address);
  CHECK_EQ(atoi(number), port);
  CHECK_EQ(getnameinfo(found->ai_addr, found->ai_addrlen, host, 2, NULL, 0, NI_NUMERICHOST), EAI_OVERFLOW);
  freeaddrinfo(found);
}

static void* body(void* arg) {
  int me = (int)(long)arg;
  for (int i = 0; i < kRounds; ++i) {
    char number[16], address[32];
    snprintf(number, sizeof number, "%d", 1000 + me * kRounds + i);
    snprintf(address, sizeof address, "10.%d.%d.7", me, i);
    look_up(address, number, AI_NUMERICHOST | AI_NUMERICSERV, AF_INET, address, 1000 + me * kRounds + i);
    look_up("fe80::17", "80", AI_NUMERICHOST, AF_INET6, "fe80::17", 80);
    look_up("localhost", "8080", 0, AF_INET, "127.0.0.1", 8080);
    look_up(NULL, "99", AI_PASSIVE, AF_INET, "0.0.0.0", 99);
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST}, *found;
    CHECK_EQ(getaddrinfo("no.number", NULL, &hints, &found), EAI_NONAME);
    CHECK_EQ(getaddrinfo(NULL, NULL, NULL, &found), EAI_NONAME);
    hints = (struct addrinfo){.ai_flags = 0x10000000};
    CHECK_EQ(getaddrinfo("localhost", NULL, &hints, &found), EAI_BADFLAGS);
    hints = (struct addrinfo){.ai_family = 77};
    CHECK_EQ(getaddrinfo("localhost", NULL, &hints, &found), EAI_FAMILY);
    struct hostent entry, *result;
    char room[2048];
    int error;
    CHECK_EQ(gethostbyname_r("localhost", &entry, room, sizeof room, &result, &error), 0);
    CHECK(result == &entry && entry.h_addrtype == AF_INET && entry.h_addr_list[0][0] == 127);
    CHECK_EQ(gethostbyname_r(address, &entry, room, sizeof room, &result, &error), 0);
    CHECK_STR(result->h_name, address);
    CHECK_EQ(gethostbyname2_r("localhost", AF_INET, &entry, room, sizeof room, &result, &error), 0);
    CHECK(result == &entry && entry.h_addr_list[0][3] == 1);
    struct in_addr loopback = {htonl(INADDR_LOOPBACK)};
    CHECK_EQ(gethostbyaddr_r(&loopback, sizeof loopback, AF_INET, &entry, room, sizeof room, &result, &error), 0);
    CHECK_STR(result->h_name, "localhost");
  }
  return NULL;
}

int main(void) {
  struct in_addr loopback = {htonl(INADDR_LOOPBACK)};
  pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; ++i) threads[i] = start_thread(body, (void*)i);
  body((void*)(long)kThreads);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  // These have one result for all threads.
  CHECK(gethostbyname("localhost") && gethostbyname2("localhost", AF_INET));
  CHECK_STR(gethostbyaddr(&loopback, sizeof loopback, AF_INET)->h_name, "localhost");
  return 0;
}
