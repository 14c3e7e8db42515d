#include "core/registry.h"

#include <sys/mman.h>

#include <atomic>

#include "base/spin_lock.h"
#include "core/vthread.h"
#include "sys/raw.h"

namespace vt {
namespace {
constexpr uint32_t kChunk = 4096;
using Slot = std::atomic<VThread*>;
std::atomic<Slot*> chunks[kMaxSlots / kChunk];
std::atomic<uint32_t> count{0};
SpinLock add_lock{Rank::kPool};
}  // namespace

bool registry_add(VThread* thread, uint32_t* slot) noexcept {
  LockGuard guard(add_lock);
  uint32_t n = count.load(std::memory_order_relaxed);
  if (n == kMaxSlots) return false;
  Slot* chunk = chunks[n / kChunk].load(std::memory_order_relaxed);
  if (!chunk) {
    long p = sys::raw(SYS_mmap, nullptr, kChunk * sizeof(Slot), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p < 0) return false;
    chunk = (Slot*)p;
    chunks[n / kChunk].store(chunk, std::memory_order_release);
  }
  chunk[n % kChunk].store(thread, std::memory_order_release);
  count.store(n + 1, std::memory_order_release);  // pairs with [registry-count]
  *slot = n;
  return true;
}

uint32_t registry_count() noexcept { return count.load(std::memory_order_acquire); }  // [registry-count]

VThread* registry_at(uint32_t slot) noexcept {
  if (slot >= registry_count()) return nullptr;
  return chunks[slot / kChunk].load(std::memory_order_acquire)[slot % kChunk].load(std::memory_order_acquire);
}

void registry_each_area(void (*visit)(char*, void*), void* arg) noexcept {
  for (uint32_t i = 0, n = registry_count(); i < n; ++i) visit(registry_at(i)->tp, arg);
}

}  // namespace vt
