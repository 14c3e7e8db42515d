// The registry read all the time by a platform thread, while virtual threads wait on everything, end and begin: what it says of one thread
// at one moment must fit together. Under TSan this also shows that it reads nothing that others write unordered.
#include <doctest/doctest.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "api.h"
#include "core/registry.h"
#include "core/vthread.h"
#include "sys/clock.h"

namespace {

constexpr int kThreads = 8;
struct Things {
  sem_t sem;
  int fds[2];
  uint32_t word = 0;
} things[kThreads];
pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, around = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
pthread_barrier_t barrier;
std::atomic<bool> stop{false};
std::atomic<uint64_t> seen[(int)vt::ParkReason::kCount];

std::string wrong(const vt::ThreadInfo& t) {
  auto is = [](bool ok, const char* what) { return ok ? std::string() : std::string(what); };
  if (memchr(t.name, 0, sizeof t.name) == nullptr) return "name";
  if (t.doing >= vt::Doing::kCount) return "doing";
  if (t.doing != vt::Doing::kWaiting && t.doing != vt::Doing::kBlocking) return is(!t.object && !t.fd_count && !t.holder, "leftovers");
  if (t.is_main) return {};
  uint64_t soon = vt::sys::now() + vt::sys::kSecond;
  int own = strncmp(t.name, "wait-", 5) ? -1 : t.name[5] - '0';
  seen[(int)t.reason]++;
  switch (t.reason) {
    case vt::ParkReason::kSem: return is(own >= 0 && t.object == &things[own].sem && t.deadline <= soon, "sem");
    case vt::ParkReason::kFutex: return is(own >= 0 && t.object == &things[own].word && t.deadline <= soon, "futex");
    case vt::ParkReason::kRecv: return is(own >= 0 && !t.object && t.fd_count == 1 && t.fds[0] == things[own].fds[0] && t.deadline == UINT64_MAX, "recv");
    case vt::ParkReason::kWrite: return is(own >= 0 && !t.object && t.fd_count == 1 && t.fds[0] == things[own ^ 1].fds[1] && t.deadline == UINT64_MAX, "write");
    case vt::ParkReason::kPoll: return is(own >= 0 && t.fd_count == 2 && t.fds[0] == things[own].fds[0] && t.fds[1] == things[own].fds[1] && t.deadline <= soon, "poll");
    case vt::ParkReason::kMutex: return is((t.object == &mutex || t.object == &around) && t.deadline == UINT64_MAX && !t.fd_count, "mutex");
    case vt::ParkReason::kCond: return is(t.object == &cond && t.mutex == &around && t.deadline <= soon, "cond");
    case vt::ParkReason::kRwlock: return is(t.object == &rwlock, "rwlock");
    case vt::ParkReason::kBarrier: return is(t.object == &barrier && t.deadline == UINT64_MAX, "barrier");
    case vt::ParkReason::kSleep: return is(!t.object && !t.fd_count && t.deadline <= soon, "sleep");
    case vt::ParkReason::kJoin: return is(t.holder > 0, "join");
    default: return "reason " + std::to_string((int)t.reason);
  }
}

constexpr vt::ParkReason kSeen[] = {vt::ParkReason::kSem,     vt::ParkReason::kFutex, vt::ParkReason::kPoll, vt::ParkReason::kMutex, vt::ParkReason::kCond,
                                    vt::ParkReason::kBarrier, vt::ParkReason::kSleep};
bool all_seen() {
  for (auto r : kSeen)
    if (!seen[(int)r]) return false;
  return true;
}

void* nothing(void* p) {
  vt::yield();
  return p;
}

void wait_for_all(int i) {
  Things& mine = things[i];
  for (int round = 0; !stop; ++round) {
    timespec soon = vt::sys::to_timespec(vt::sys::now() + 200'000), relative{0, 200'000};
    vt::sem_acquire(&mine.sem, CLOCK_MONOTONIC, &soon);
    soon = vt::sys::to_timespec(vt::sys::now() + 200'000);
    vt::futex_wait(&mine.word, 0, CLOCK_MONOTONIC, &soon);
    pollfd p[2] = {{mine.fds[0], POLLIN, 0}, {mine.fds[1], POLLIN, 0}};
    vt::io_poll(p, 2, &relative);
    char byte = 'x';
    vt::mutex_lock(&mutex);
    if (round % 4 == 0) vt::sleep_until(CLOCK_MONOTONIC, vt::sys::to_timespec(vt::sys::now() + 50'000));
    vt::mutex_unlock(&mutex);
    vt::mutex_lock(&around);
    soon = vt::sys::to_timespec(vt::sys::now() + 200'000);
    if (round % 3) vt::cond_wait(&cond, &around, CLOCK_MONOTONIC, &soon);
    else vt::cond_broadcast(&cond);
    vt::mutex_unlock(&around);
    if ((round + i) % 2) vt::rwlock_read(&rwlock, CLOCK_MONOTONIC, nullptr);
    else vt::rwlock_write(&rwlock, CLOCK_MONOTONIC, nullptr);
    vt::yield();
    vt::rwlock_unlock(&rwlock);
    pthread_t child;
    if (vt::thread_create(&child, nullptr, nothing, nullptr) == 0) vt::thread_join(child, nullptr, CLOCK_MONOTONIC, nullptr);
    // Its partner sends it a byte, and it sends one to its partner's socket.
    vt::io_send(things[i ^ 1].fds[1], &byte, 1, 0);
    vt::io_recv(mine.fds[0], &byte, 1, 0);
    vt::barrier_wait(&barrier);
    if (i == 0 && round >= 100 && (all_seen() || round > 5000)) stop = true;
    vt::barrier_wait(&barrier);
  }
}

}  // namespace

TEST_CASE("snapshots fit together while threads wait on everything") {
  for (Things& t : things) {
    sem_init(&t.sem, 0, 0);
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, t.fds) == 0);
  }
  REQUIRE(vt::barrier_init(&barrier, kThreads) == 0);
  stop = false;
  std::vector<pthread_t> threads(kThreads);
  auto start = [](void* p) -> void* {
    int i = (int)(long)p;
    char name[16] = "wait-0";
    name[5] = (char)('0' + i);
    vt::thread_set_name(vt::current()->handle(), name);
    wait_for_all(i);
    return nullptr;
  };
  for (int i = 0; i < kThreads; ++i) REQUIRE(vt::thread_create(&threads[(size_t)i], nullptr, start, (void*)(long)i) == 0);
  std::atomic<uint64_t> snapshots{0};
  std::string complaint;
  std::thread reader([&] {
    vt::ThreadInfo t;
    while (!stop && complaint.empty()) {
      for (uint32_t i = 0, n = vt::registry_count(); i <= n; ++i) {
        if (!vt::registry_snapshot(i < n ? i : vt::kMainSlot, &t)) continue;
        ++snapshots;
        std::string w = wrong(t);
        if (!w.empty()) complaint = w + " of " + t.name;
      }
    }
  });
  for (pthread_t t : threads) CHECK(vt::thread_join(t, nullptr, CLOCK_MONOTONIC, nullptr) == 0);
  reader.join();
  CHECK(complaint == "");
  CHECK(snapshots > 1000);
  for (auto r : kSeen) {
    std::string kind = vt::kParkReasonNames[(int)r];
    CAPTURE(kind);
    CHECK(seen[(int)r] > 0);
  }
  for (Things& t : things) close(t.fds[0]), close(t.fds[1]);
}

TEST_CASE("a dump is lines, and an error on a descriptor that is none") {
  int fds[2];
  REQUIRE(pipe2(fds, 0) == 0);
  CHECK(vt::registry_dump(fds[1]) == 0);
  char text[65536];
  ssize_t n = read(fds[0], text, sizeof text - 1);
  REQUIRE(n > 0);
  text[n] = 0;
  CHECK(strncmp(text, "vtshim: pid ", 12) == 0);
  CHECK(text[n - 1] == '\n');
  for (const char* p = text; *p; p = strchr(p, '\n') + 1) CHECK(strncmp(p, "vtshim: ", 8) == 0);
  close(fds[0]), close(fds[1]);
  CHECK(vt::registry_dump(fds[1]) == -EBADF);
}
