#include "core/tsd.h"

#include <limits.h>
#include <pthread.h>

#include <atomic>

#include "api.h"

namespace vt {
namespace {
struct Key {
  std::atomic<void (*)(void*)> destructor{nullptr};
};
Key keys[PTHREAD_KEYS_MAX];
std::atomic<unsigned> highest{0};  // keys beyond it have no destructor
}  // namespace

std::atomic<bool> many_keys{false};

void key_created(pthread_key_t key, void (*destructor)(void*)) noexcept {
  if (key >= PTHREAD_KEYS_MAX) return;
  constexpr pthread_key_t kFirstBlock = 32;  // PTHREAD_KEY_2NDLEVEL_SIZE
  if (key >= kFirstBlock) many_keys.store(true, std::memory_order_relaxed);
  keys[key].destructor.store(destructor, std::memory_order_release);
  unsigned h = highest.load(std::memory_order_relaxed);
  while (h < key + 1 && !highest.compare_exchange_weak(h, key + 1, std::memory_order_release)) {
  }
}

void key_deleted(pthread_key_t key) noexcept {
  if (key < PTHREAD_KEYS_MAX) keys[key].destructor.store(nullptr, std::memory_order_release);
}

void tsd_run_destructors() {
  for (int round = 0; round < PTHREAD_DESTRUCTOR_ITERATIONS; ++round) {
    bool any = false;
    for (unsigned k = 0, n = highest.load(std::memory_order_acquire); k < n; ++k) {
      auto destructor = keys[k].destructor.load(std::memory_order_acquire);
      if (!destructor) continue;
      void* value = pthread_getspecific(k);
      if (!value) continue;
      pthread_setspecific(k, nullptr);
      any = true;
      destructor(value);
    }
    if (!any) return;
  }
}

}  // namespace vt
