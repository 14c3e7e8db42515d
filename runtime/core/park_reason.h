// Why a virtual thread is parked: for the counters, the registry and people. Layer: core.
#pragma once

#include <stdint.h>

namespace vt {

enum class ParkReason : uint8_t {
  kNone, kMutex, kCond, kSem, kRwlock, kBarrier, kOnce, kFutex, kJoin, kSleep, kRead, kWrite, kRecv, kAccept, kConnect,
  kPoll, kFile, kChild, kYield, kBlocking, kSignal, kCount
};

inline constexpr const char* kParkReasonNames[] = {"none",  "mutex", "cond",   "sem",     "rwlock", "barrier", "once",
                                                   "futex", "join",  "sleep",  "read",    "write",  "recv",    "accept",
                                                   "connect", "poll", "file",  "child",   "yield",  "blocking", "signal"};
static_assert(sizeof kParkReasonNames / sizeof *kParkReasonNames == (int)ParkReason::kCount);

}  // namespace vt
