// The settings: one table, each with a default, a range and a line of help. Read once, at boot. Layer: base.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace vt {

enum class TlsBackend : uint8_t { kAuto, kArchPrctl, kFsGsBase, kSwap, kShared };
enum class PinPolicy : uint8_t { kAuto, kCallback, kNone };
enum class ReactorKind : uint8_t { kAuto, kUring, kReadiness };
enum class StealPolicy : uint8_t { kAuto, kLazy, kQuick };

struct Config {
  unsigned carriers = 0;  // 0: as many as CPUs in the affinity mask
  unsigned max_carriers = 256;
  int loops = 1;  // event loops that have OS threads of their own, at most
  TlsBackend tls = TlsBackend::kAuto;
  bool fsgsbase = true;  // to be used where the host has it
  size_t stack = 0;  // bytes; 0: RLIMIT_STACK's default, as glibc
  ReactorKind reactor = ReactorKind::kAuto;
  bool threads = true;
  StealPolicy steal = StealPolicy::kAuto;
  bool main_joins = true;  // the main thread becomes virtual with the first pthread_create
  PinPolicy pin = PinPolicy::kAuto;
  uint64_t pin_warn = 0;  // ms; 0: off
  int dump_signal = 0;     // prints the registry on stderr; 0: off
  uint64_t chaos = 0;  // seed; 0: off
  const char* native_libs = "libgomp*:libiomp*:libomp*:libopenblas*:libblas*:libmkl*:libtbb*";
  const char* pin_libs = "libGL*:libEGL*:libgtk*:libQt5Gui*:libQt6Gui*:libSDL2*";
};
extern Config config;

/// Reads VTSHIM_* from `environment`; one line on stderr for each unknown name or bad value, whose default then holds.
void read_config(char** environment) noexcept;
/// VTSHIM_TLS' word for it.
const char* word_for(TlsBackend) noexcept;
/// The table as text for --help and README: calls `line(name, default, range, help)` for each.
void each_setting(void (*line)(const char*, const char*, const char*, const char*)) noexcept;
/// Does `name` match one of the colon-separated shell patterns (fnmatch(3) '*' and '?')? @signal safe
bool matches(const char* patterns, const char* name) noexcept;

}  // namespace vt
