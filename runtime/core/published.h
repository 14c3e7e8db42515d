// A few words that one thread writes and any thread reads whole, at any time, without a lock: a sequence counter around relaxed
// words. The writer pays plain stores. Layer: core. @thread any @signal safe
//
// Order, without fences (ThreadSanitizer knows none): each word is stored with release and loaded with acquire. A reader that sees a
// word of a new record therefore sees, at its second look, the counter that the writer had stored before it, and tries again.
#pragma once

#include <stdint.h>

#include <atomic>

namespace vt {

template <int kWords>
class Published {
 public:
  /// One writer at a time. Two that race (pthread_setname_np twice at once) mix their words, but leave the counter even.
  void write(const uint64_t (&words)[kWords]) noexcept {
    uint32_t odd = sequence_.load(std::memory_order_relaxed) | 1;
    sequence_.store(odd, std::memory_order_relaxed);
    for (int i = 0; i < kWords; ++i) words_[i].store(words[i], std::memory_order_release);
    sequence_.store(odd + 1, std::memory_order_release);  // pairs with the acquires in read() and unchanged()
  }
  /// False: it is being written just now, or its writer died in the middle.
  bool read(uint64_t (&words)[kWords], uint32_t* sequence) const noexcept {
    uint32_t s = sequence_.load(std::memory_order_acquire);
    for (int i = 0; i < kWords; ++i) words[i] = words_[i].load(std::memory_order_acquire);
    *sequence = s;
    return !(s & 1) && unchanged(s);
  }
  /// Changes with each write. @thread writer
  uint32_t changes() const noexcept { return sequence_.load(std::memory_order_relaxed); }
  /// Nothing was written since read() gave `sequence`.
  bool unchanged(uint32_t sequence) const noexcept { return sequence_.load(std::memory_order_acquire) == sequence; }

 private:
  std::atomic<uint32_t> sequence_{0};
  std::atomic<uint64_t> words_[kWords] = {};
};

}  // namespace vt
