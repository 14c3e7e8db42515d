// Real carriers and rings: virtual threads on every primitive and on I/O, with a platform thread (this one) taking part.
// Results are counted, not CHECKed, on virtual threads: doctest keeps state of its own per OS thread.
#include <doctest/doctest.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "api.h"
#include "core/cancel.h"
#include "core/carrier.h"
#include "core/registry.h"
#include "core/vthread.h"
#include "sys/clock.h"
#include "sys/raw.h"
#include "sys/stoppable.h"

namespace {

std::atomic<int> wrong{0};
void expect(bool ok) { wrong += !ok; }

/// Runs `body(i)` on `n` virtual threads and joins them.
void on_threads(int n, const std::function<void(int)>& body) {
  struct Argument {
    const std::function<void(int)>* body;
    int index;
  };
  std::vector<Argument> arguments((size_t)n);
  std::vector<pthread_t> threads((size_t)n);
  for (int i = 0; i < n; ++i) {
    arguments[(size_t)i] = {&body, i};
    auto start = [](void* p) -> void* {
      auto* a = static_cast<Argument*>(p);
      (*a->body)(a->index);
      return a;
    };
    REQUIRE(vt::thread_create(&threads[(size_t)i], nullptr, start, &arguments[(size_t)i]) == 0);
  }
  for (int i = 0; i < n; ++i) {
    void* result = nullptr;
    REQUIRE(vt::thread_join(threads[(size_t)i], &result, CLOCK_MONOTONIC, nullptr) == 0);
    CHECK(result == &arguments[(size_t)i]);
  }
}

}  // namespace

TEST_CASE("create and join, with recycled units") {
  wrong = 0;
  std::atomic<int> ran{0};
  for (int round = 0; round < 20; ++round)
    on_threads(50, [&](int) {
      vt::yield();
      ++ran;
    });
  CHECK(ran == 1000);
}

TEST_CASE("a mutex keeps others out, also while its holder parks") {
  wrong = 0;
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  long counter = 0;
  on_threads(16, [&](int i) {
    for (int k = 0; k < 200; ++k) {
      expect(vt::mutex_lock(&mutex) == 0);
      long before = counter;
      if ((k + i) % 8 == 0) vt::yield();
      counter = before + 1;
      expect(vt::mutex_unlock(&mutex) == 0);
    }
  });
  CHECK(counter == 16 * 200);
  CHECK(wrong == 0);
}

TEST_CASE("a bounded buffer on a condition variable; this platform thread consumes too") {
  wrong = 0;
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t more = PTHREAD_COND_INITIALIZER, less = PTHREAD_COND_INITIALIZER;
  int filled = 0;
  long made = 0, taken = 0;
  const int kEach = 200, kPairs = 8;
  on_threads(2 * kPairs, [&](int i) {
    for (int k = 0; k < kEach; ++k) {
      vt::mutex_lock(&mutex);
      if (i % 2) {
        while (filled == 4) vt::cond_wait(&less, &mutex, CLOCK_MONOTONIC, nullptr);
        ++filled, ++made;
        vt::cond_signal(&more);
      } else {
        while (filled == 0) vt::cond_wait(&more, &mutex, CLOCK_MONOTONIC, nullptr);
        --filled, ++taken;
        if (k % 2) vt::cond_broadcast(&less);
        else vt::cond_signal(&less);
      }
      vt::mutex_unlock(&mutex);
    }
  });
  CHECK(made == kPairs * kEach);
  CHECK(taken == made);
  CHECK(filled == 0);
}

TEST_CASE("timed waits end in time, and only for want of a wake-up") {
  wrong = 0;
  sem_t sem;
  sem_init(&sem, 0, 0);
  std::atomic<int> late{0}, got{0};
  on_threads(32, [&](int i) {
    timespec t = vt::sys::to_timespec(vt::sys::now() + (uint64_t)(i % 4) * 1'000'000);
    int r = vt::sem_acquire(&sem, CLOCK_MONOTONIC, &t);
    expect(r == 0 || r == -ETIMEDOUT);
    if (r == 0) ++got;
    else ++late;
    if (i % 3 == 0) vt::sem_release(&sem);
  });
  int value;
  sem_getvalue(&sem, &value);
  CHECK(got + value == 11);
  CHECK(got + late == 32);
  CHECK(wrong == 0);
}

TEST_CASE("semaphores between virtual threads and a platform thread") {
  wrong = 0;
  sem_t ping, pong;
  sem_init(&ping, 0, 0);
  sem_init(&pong, 0, 0);
  pthread_t thread;
  struct Both {
    sem_t *ping, *pong;
  } both{&ping, &pong};
  auto start = [](void* p) -> void* {
    auto* b = static_cast<Both*>(p);
    for (int i = 0; i < 500; ++i) {
      vt::sem_acquire(b->ping, CLOCK_MONOTONIC, nullptr);
      vt::sem_release(b->pong);
    }
    return nullptr;
  };
  REQUIRE(vt::thread_create(&thread, nullptr, start, &both) == 0);
  for (int i = 0; i < 500; ++i) {
    vt::sem_release(&ping);
    vt::sem_acquire(&pong, CLOCK_MONOTONIC, nullptr);
  }
  CHECK(vt::thread_join(thread, nullptr, CLOCK_MONOTONIC, nullptr) == 0);
}

TEST_CASE("readers share, writers don't") {
  wrong = 0;
  pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
  int a = 0, b = 0;
  on_threads(12, [&](int i) {
    for (int k = 0; k < 100; ++k) {
      if (i % 4 == 0) {
        expect(vt::rwlock_write(&lock, CLOCK_MONOTONIC, nullptr) == 0);
        ++a;
        if (k % 8 == 0) vt::yield();
        ++b;
      } else {
        expect(vt::rwlock_read(&lock, CLOCK_MONOTONIC, nullptr) == 0);
        expect(a == b);
      }
      expect(vt::rwlock_unlock(&lock) == 0);
    }
  });
  CHECK(a == 300);
  CHECK(b == 300);
  CHECK(wrong == 0);
}

TEST_CASE("a barrier lets a whole round go, with one serial thread") {
  wrong = 0;
  pthread_barrier_t barrier;
  REQUIRE(vt::barrier_init(&barrier, 10) == 0);
  std::atomic<int> serial{0}, arrived{0};
  on_threads(10, [&](int) {
    for (int round = 0; round < 50; ++round) {
      ++arrived;
      if (vt::barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) ++serial;
      expect(arrived >= (round + 1) * 10);
    }
  });
  CHECK(serial == 50);
  CHECK(wrong == 0);
  CHECK(vt::barrier_destroy(&barrier) == 0);
}

TEST_CASE("sleepers wake not before their time") {
  wrong = 0;
  on_threads(200, [&](int i) {
    uint64_t deadline = vt::sys::now() + (uint64_t)(i % 10) * 1'000'000;
    expect(vt::sleep_until(CLOCK_MONOTONIC, vt::sys::to_timespec(deadline)) == 0);
    expect(vt::sys::now() >= deadline);
  });
  CHECK(wrong == 0);
}

TEST_CASE("echo over socket pairs: every byte, in order; poll and timeouts") {
  wrong = 0;
  const int kPairs = 20;
  int fds[kPairs][2];
  for (auto& pair : fds) REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  on_threads(2 * kPairs, [&](int i) {
    int fd = fds[i / 2][i % 2];
    char buffer[64];
    for (int k = 0; k < 100; ++k) {
      char byte = (char)k;
      if (i % 2) {
        expect(vt::io_send(fd, &byte, 1, 0) == 1);
        pollfd p{fd, POLLIN, 0};
        expect(vt::io_poll(&p, 1, nullptr) == 1);
        expect(vt::io_recv(fd, buffer, sizeof buffer, 0) == 1 && buffer[0] == byte);
      } else {
        expect(vt::io_read(fd, buffer, sizeof buffer) == 1 && buffer[0] == byte);
        expect(vt::io_write(fd, buffer, 1) == 1);
      }
    }
    if (i % 2) {
      timespec soon{0, 2'000'000};
      pollfd p{fd, POLLIN, 0};
      expect(vt::io_poll(&p, 1, &soon) == 0);
    }
  });
  for (auto& pair : fds) close(pair[0]), close(pair[1]);
  CHECK(wrong == 0);
}

TEST_CASE("announced blocking calls leave the carriers to others") {
  wrong = 0;
  int pipes[8][2];
  for (auto& p : pipes) REQUIRE(pipe(p) == 0);
  std::atomic<int> inside{0};
  on_threads(9, [&](int i) {
    if (i < 8) {
      char c;
      ssize_t n = 0;
      vt::blocking([&] {
        ++inside;
        n = ::read(pipes[i][0], &c, 1);
      });
      expect(n == 1);
    } else {
      while (inside < 8) vt::yield();
      for (auto& p : pipes) expect(::write(p[1], "x", 1) == 1);
    }
  });
  for (auto& p : pipes) close(p[0]), close(p[1]);
  CHECK(wrong == 0);
}

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)  // there nobody is ejected
TEST_CASE("a cancellation ends a stoppable call that nobody announced, on the carrier or elsewhere") {
  wrong = 0;
  for (long round = 0; round < 40; ++round) {
    int fds[2];
    REQUIRE(pipe(fds) == 0);
    std::atomic<vt::VThread*> begins{nullptr};
    auto body = [&] {
      begins = vt::current();
      char c;
      expect(vt::sys::stoppable(vt::cancel_flag(vt::current()), SYS_read, fds[0], &c, 1) == -EINTR);
    };
    auto start = [](void* p) -> void* { return (*(decltype(body)*)p)(), nullptr; };
    pthread_t thread;
    REQUIRE(vt::thread_create(&thread, nullptr, start, &body) == 0);
    while (!begins) sched_yield();
    usleep((useconds_t)round * 150);
    CHECK(vt::thread_cancel(thread) == 0);
    // As the monitor's may: its handler takes the request.
    if (vt::Carrier* c = begins.load()->carrier; round % 2 && c && !c->is_blocking) vt::carrier_kick(c, vt::Kick::kReap);
    CHECK(vt::thread_join(thread, nullptr, CLOCK_MONOTONIC, nullptr) == 0);
    close(fds[0]);
    close(fds[1]);
  }
  CHECK(wrong == 0);
}
#endif

TEST_CASE("event loops: one has an OS thread of its own, and gives it back in the end; the registry tells what it waits for") {
  wrong = 0;
  int epoll = epoll_create1(0), ready = eventfd(1, 0);
  epoll_event e{EPOLLIN, {}};
  REQUIRE(epoll_ctl(epoll, EPOLL_CTL_ADD, ready, &e) == 0);
  auto loop = [&](int times) {
    for (int i = 0; i < times; ++i) {
      epoll_event got;
      expect(vt::io_epoll_wait(epoll, &got, 1, nullptr) == 1);
    }
  };
  std::atomic<int> alone{0}, both{0};
  pthread_barrier_t pair;
  REQUIRE(vt::barrier_init(&pair, 2) == 0);
  for (int round = 0; round < 10; ++round)
    on_threads(1, [&](int) {
      loop(1000);
      alone += vt::current()->carrier->is_blocking;
    });
  CHECK(alone >= 8);  // windows in which this machine was elsewhere don't count
  on_threads(2, [&](int) {
    loop(1000);
    both += vt::current()->loop.has_place;
    vt::barrier_wait(&pair);
  });
  CHECK(both <= 1);
  CHECK(vt::barrier_destroy(&pair) == 0);

  // What it waits for shows, though it isn't parked.
  std::atomic<vt::VThread*> waits{nullptr};
  pthread_t thread;
  auto body = [&] {
    do loop(200);
    while (!vt::current()->carrier->is_blocking);
    eventfd_t value;
    eventfd_read(ready, &value);
    waits = vt::current();
    loop(1);
  };
  auto start = [](void* p) -> void* { return (*(decltype(body)*)p)(), nullptr; };
  REQUIRE(vt::thread_create(&thread, nullptr, start, &body) == 0);
  while (!waits) sched_yield();
  for (vt::ThreadInfo info;;) {
    REQUIRE(vt::registry_snapshot(waits.load()->slot, &info));
    if (info.doing != vt::Doing::kBlocking || info.reason != vt::ParkReason::kPoll) continue;
    CHECK(info.fd_count == 1);
    CHECK(info.fds[0] == epoll);
    break;
  }
  eventfd_write(ready, 1);
  REQUIRE(vt::thread_join(thread, nullptr, CLOCK_MONOTONIC, nullptr) == 0);
  close(epoll);
  close(ready);
  CHECK(wrong == 0);
}

TEST_CASE("pinned threads come back to their OS thread and have it to themselves; the others go on") {
  wrong = 0;
  auto taken = std::make_unique<std::atomic<int>[]>(1 << 22);  // by OS thread
  std::atomic<int> steps{0}, at_work{6};
  auto here = [] { return (size_t)vt::sys::raw(SYS_gettid); };
  on_threads(24, [&](int i) {
    bool pins = i % 4 == 1;
    for (int round = 0; pins && round < 8; ++round) {
      expect(vt::pin() == 0);
      size_t mine = here();
      expect(taken[mine].exchange(1) == 0);
      for (int k = 0; k < 20; ++k) {
        if (k % 3 == 0) {  // parks, and needs the others
          int before = steps;
          while (steps == before) vt::yield();
        } else if (k % 3 == 1) {
          vt::sleep_until(CLOCK_MONOTONIC, vt::sys::to_timespec(vt::sys::now() + 200'000));
        } else {
          expect(vt::pin() == 0);
          vt::blocking([&] { expect(here() == mine); });
          expect(vt::unpin() == 0);
        }
        expect(here() == mine);
      }
      taken[mine] = 0;
      expect(vt::unpin() == 0);
      expect(vt::unpin() == -EINVAL);
      vt::yield();
    }
    if (pins) --at_work;
    while (!pins && at_work) {
      expect(taken[here()] == 0);
      ++steps;
      if (i % 2) vt::yield();
      else vt::sleep_until(CLOCK_MONOTONIC, vt::sys::to_timespec(vt::sys::now() + 100'000));
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("futex words: wake counts, stale values") {
  wrong = 0;
  uint32_t word = 0;
  std::atomic<int> woken{0};
  CHECK(vt::futex_wait(&word, 1, CLOCK_MONOTONIC, nullptr) == -EAGAIN);
  on_threads(9, [&](int i) {
    if (i < 8) {
      expect(vt::futex_wait(&word, 0, CLOCK_MONOTONIC, nullptr) == 0);
      ++woken;
    } else {
      while (woken < 8) {
        vt::futex_wake(&word, 3);
        vt::yield();
      }
    }
  });
  CHECK(woken == 8);
  CHECK(wrong == 0);
}
