// An intrusive doubly linked list: no allocation, O(1) removal of a member. Layer: base.
// The caller holds whatever lock protects the list.
#pragma once

#include "base/assert.h"

namespace vt {

struct ListLink {
  ListLink* next = nullptr;
  ListLink* prev = nullptr;
  bool linked() const noexcept { return next != nullptr; }
};

/// T derives from ListLink.
template <class T>
class List {
 public:
  List() noexcept { clear(); }
  List(const List&) = delete;
  List& operator=(const List&) = delete;

  void clear() noexcept { head_.next = head_.prev = &head_; }
  bool empty() const noexcept { return head_.next == &head_; }
  T* front() const noexcept { return empty() ? nullptr : static_cast<T*>(head_.next); }
  T* after(const T* item) const noexcept { return item->next == &head_ ? nullptr : static_cast<T*>(item->next); }

  void push_back(T* item) noexcept {
    VT_ASSERT(!item->linked());
    ListLink* last = head_.prev;
    item->prev = last;
    item->next = &head_;
    last->next = item;
    head_.prev = item;
  }
  static void remove(T* item) noexcept {
    VT_ASSERT(item->linked());
    item->prev->next = item->next;
    item->next->prev = item->prev;
    item->next = item->prev = nullptr;
  }
  T* pop_front() noexcept {
    T* item = front();
    if (item) remove(item);
    return item;
  }

 private:
  ListLink head_;
};

}  // namespace vt
