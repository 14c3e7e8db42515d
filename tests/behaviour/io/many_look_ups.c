// Look-ups by very many threads at once: each has its answer, numbers as well as names, hosts as well as users; and numbers take no OS
// thread each. Some are cancelled on their way.
#define _GNU_SOURCE
#include "../check.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

enum { kThreads = 120, kRounds = 4, kOwn = 40 /* monitor, starter, carriers */ };
enum what { kNumbers, kNames, kUsers };

static pthread_barrier_t g_barrier;
static enum what g_what;
static atomic_int g_done;

static int os_threads(void) {
  char text[4096], *line;
  FILE* f = fopen("/proc/self/status", "r");
  CHECK(f != NULL);
  text[fread(text, 1, sizeof text - 1, f)] = 0;
  fclose(f);
  CHECK((line = strstr(text, "Threads:")) != NULL);
  return atoi(line + 8);
}

static void numbers(void) {
  static const char* const kHosts[] = {"127.0.0.1", "::1", "127.1", "0x7f000001"};
  for (int i = 0; i < 4; ++i) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    char host[64], port[16];
    CHECK_RC(getaddrinfo(kHosts[i], "8080", &hints, &found), 0);
    CHECK(found && !found->ai_next);
    CHECK_RC(getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV), 0);
    CHECK(strcmp(host, i == 1 ? "::1" : "127.0.0.1") == 0 && strcmp(port, "8080") == 0);
    freeaddrinfo(found);
  }
  struct addrinfo hints = {.ai_family = AF_INET6}, *found;
  CHECK_RC(getaddrinfo("127.0.0.1", NULL, &hints, &found), EAI_ADDRFAMILY);
  hints = (struct addrinfo){.ai_flags = AI_NUMERICSERV};
  CHECK_RC(getaddrinfo("127.0.0.1", "http", &hints, &found), EAI_NONAME);
}

static void* look_up(void* arg) {
  pthread_barrier_wait(&g_barrier);
  for (int i = 0; i < kRounds; ++i) {
    if (g_what == kNumbers) {
      numbers();
    } else if (g_what == kNames) {
      struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
      CHECK_RC(getaddrinfo("localhost", "80", &hints, &found), 0);
      CHECK_EQ(((struct sockaddr_in*)(void*)found->ai_addr)->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
      freeaddrinfo(found);
    } else {
      struct passwd entry, *found;
      char buffer[4096];
      CHECK_RC(getpwuid_r(0, &entry, buffer, sizeof buffer, &found), 0);
      CHECK(found && strcmp(found->pw_name, "root") == 0);
    }
  }
  atomic_fetch_add(&g_done, 1);
  return arg;
}

static void* again_and_again(void* arg) {
  for (;;) {
    struct addrinfo* found;
    CHECK_RC(getaddrinfo("localhost", "80", NULL, &found), 0);
    freeaddrinfo(found);
  }
  return arg;
}

int main(void) {
  bool shimmed = dlsym(RTLD_DEFAULT, "vtshim_active") != NULL;
  pthread_t threads[kThreads];
  CHECK_RC(pthread_barrier_init(&g_barrier, NULL, kThreads), 0);
  for (g_what = kNumbers; g_what <= kUsers; ++g_what) {
    int most = 0;
    atomic_store(&g_done, 0);
    for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(look_up, NULL);
    while (atomic_load(&g_done) < kThreads) {
      int now = os_threads();
      if (now > most) most = now;
    }
    for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
    if (shimmed && g_what == kNumbers && most > kOwn) check_fail(__FILE__, __LINE__, 0, "%d OS threads for numbers", most);
  }
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(again_and_again, NULL);
  sleep_ms(20);
  for (int i = 0; i < kThreads; ++i) CHECK_RC(pthread_cancel(threads[i]), 0);
  for (int i = 0; i < kThreads; ++i) CHECK(join_thread(threads[i]) == PTHREAD_CANCELED);
  g_what = kNames;
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(look_up, NULL);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  return 0;
}
