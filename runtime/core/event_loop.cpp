#include "core/event_loop.h"

#include <atomic>

#include "base/config.h"
#include "core/blocking.h"
#include "core/carrier.h"
#include "core/monitor.h"
#include "core/slot.h"
#include "core/thread_signals.h"

namespace vt {
namespace {

constexpr uint32_t kWindow = 64;       // waits, and some ms in which they must come: a thousand a second
constexpr uint32_t kChaosWindow = 4;   // in chaos mode everybody with so many goes there and back
constexpr uint32_t kDisturbed = kWindow / 4;
constexpr uint8_t kRests = 64;

std::atomic<int> places_taken{0};

uint32_t now() noexcept { return (uint32_t)(monitor_time() >> 20); }

bool take_place() noexcept {
  if (places_taken.fetch_add(1, std::memory_order_relaxed) < config.loops) return true;
  places_taken.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

void give_place_back() noexcept { places_taken.fetch_sub(1, std::memory_order_relaxed); }

/// What was seen since the window began tells what to do from here on.
void judge(LoopHistory& h, uint32_t time) noexcept {
  bool is_loop = config.chaos ? !h.has_place : h.waits >= kWindow && h.disturbed <= kDisturbed;
  if (h.rests) {
    --h.rests;
  } else if (is_loop && !h.has_place) {
    h.has_place = take_place();
  } else if (!is_loop && h.has_place) {
    give_place_back();
    h.has_place = false;
    // Threads that it hands work to and fro are quicker on its own carrier, where it is hardly disturbed: so it would come and go.
    if (h.disturbed > kDisturbed) h.rests = kRests;
  }
  h.waits = h.disturbed = 0;
  h.since = time;
}

}  // namespace

bool event_loop_begins(VThread* v) noexcept {
  // Main has signals to take on carrier 0; who has run on a slot stays there; who stands in a callback stays on its OS thread; and a mask
  // that the call brings is to be watched all the while.
  if (v->is_main || swaps || config.pin == PinPolicy::kCallback || v->in_masked_call || !config.loops) return false;
  LoopHistory& h = v->loop;
  uint32_t time = now();
  if (h.waits >= (config.chaos ? kChaosWindow : kWindow) || time - h.since > kWindow) judge(h, time);
  ++h.waits;
  if (v->note.changes() != h.parks) ++h.disturbed;
  if (!h.has_place) return false;
  return v->carrier->is_blocking || blocking_move();
}

void event_loop_waited(VThread* v) noexcept { v->loop.parks = v->note.changes(); }

void event_loop_ends(VThread* v) noexcept {
  if (v->loop.has_place) give_place_back();
  v->loop = {};
}

void event_loops_after_fork() noexcept { places_taken.store(0, std::memory_order_relaxed); }

}  // namespace vt
