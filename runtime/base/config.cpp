#include "base/config.h"

#include <signal.h>
#include <string.h>

#include "api.h"
#include "base/log.h"

namespace vt {

Config config;

namespace {

struct Choice {
  const char* word;
  int value;
};
constexpr Choice kTls[] = {{"auto", (int)TlsBackend::kAuto}, {"arch_prctl", (int)TlsBackend::kArchPrctl},
                           {"fsgsbase", (int)TlsBackend::kFsGsBase}, {"swap", (int)TlsBackend::kSwap}, {nullptr, 0}};
constexpr Choice kLog[] = {{"off", (int)LogLevel::kOff}, {"warn", (int)LogLevel::kWarn}, {"info", (int)LogLevel::kInfo},
                           {"debug", (int)LogLevel::kDebug}, {nullptr, 0}};
constexpr Choice kFsGsBase[] = {{"auto", 1}, {"no", 0}, {nullptr, 0}};
constexpr Choice kReactor[] = {{"auto", (int)ReactorKind::kAuto}, {"uring", (int)ReactorKind::kUring}, {"readiness", (int)ReactorKind::kReadiness},
                               {nullptr, 0}};
constexpr Choice kThreads[] = {{"all", 1}, {"none", 0}, {nullptr, 0}};
constexpr Choice kMain[] = {{"virtual", 1}, {"native", 0}, {nullptr, 0}};
constexpr Choice kPin[] = {{"auto", (int)PinPolicy::kAuto}, {"callback", (int)PinPolicy::kCallback},
                           {"none", (int)PinPolicy::kNone}, {nullptr, 0}};
constexpr Choice kSteal[] = {{"auto", (int)StealPolicy::kAuto}, {"lazy", (int)StealPolicy::kLazy},
                             {"quick", (int)StealPolicy::kQuick}, {nullptr, 0}};

/// A number with an optional K, M or G (powers of 1024); the whole text must be used.
bool parse_number(const char* text, uint64_t* value) noexcept {
  uint64_t n = 0;
  const char* p = text;
  for (; *p >= '0' && *p <= '9'; ++p)
    if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n)) return false;
  if (p == text) return false;
  unsigned shift = *p == 'K' || *p == 'k' ? 10 : *p == 'M' || *p == 'm' ? 20 : *p == 'G' || *p == 'g' ? 30 : 0;
  if (shift) ++p;
  if (*p || n > (UINT64_MAX >> shift)) return false;
  *value = n << shift;
  return true;
}

bool fold_equal(const char* a, const char* b) noexcept {  // ASCII
  auto fold = [](char c) { return c >= 'a' && c <= 'z' ? (char)(c - 32) : c; };
  while (*a && fold(*a) == fold(*b)) ++a, ++b;
  return fold(*a) == fold(*b);
}

/// A signal's number or name: 10, USR1, SIGUSR1, RTMIN+3, SIGRTMAX-1.
bool parse_signal(const char* text, uint64_t* value) noexcept {
  if (parse_number(text, value)) return true;
  char head[4] = {};
  for (int i = 0; i < 3 && text[i]; ++i) head[i] = text[i];
  if (fold_equal(head, "SIG")) text += 3;
  for (int s = 1; s < _NSIG; ++s)
    if (const char* name = sigabbrev_np(s); name && fold_equal(name, text)) return *value = (uint64_t)s, true;
  char base[6] = {};
  for (int i = 0; i < 5 && text[i]; ++i) base[i] = text[i];
  bool from_last = fold_equal(base, "RTMAX");
  if (!from_last && !fold_equal(base, "RTMIN")) return false;
  uint64_t distance = 0, at = (uint64_t)(from_last ? SIGRTMAX : SIGRTMIN);
  if (text[5] && (text[5] != (from_last ? '-' : '+') || !parse_number(text + 6, &distance) || distance >= _NSIG)) return false;
  at = from_last ? at - distance : at + distance;
  return *value = at, at >= (uint64_t)SIGRTMIN && at <= (uint64_t)SIGRTMAX;
}

/// Letters to insert, take away or replace, two neighbours to exchange.
unsigned edit_distance(const char* a, size_t a_size, const char* b) noexcept {
  constexpr size_t kMost = 32;
  size_t b_size = strlen(b);
  if (a_size > kMost || b_size > kMost) return kMost;
  uint8_t rows[3][kMost + 1];  // the last two, and this one
  for (size_t j = 0; j <= b_size; ++j) rows[0][j] = (uint8_t)j;
  for (size_t i = 1; i <= a_size; ++i) {
    uint8_t *above = rows[(i - 1) % 3], *here = rows[i % 3], *before = rows[(i + 1) % 3];
    here[0] = (uint8_t)i;
    for (size_t j = 1; j <= b_size; ++j) {
      unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);
      if (above[j] + 1u < best) best = above[j] + 1u;
      if (here[j - 1] + 1u < best) best = here[j - 1] + 1u;
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1u < best) best = before[j - 2] + 1u;
      here[j] = (uint8_t)best;
    }
  }
  return rows[a_size % 3][b_size];
}

struct Setting {
  const char* name;
  const char* fallback;
  const char* range;
  const char* help;
  uint64_t low, high;
  const Choice* choices;  // null: a number, or text if high == 0
  void (*apply)(uint64_t number, const char* text);
  bool (*parse)(const char* text, uint64_t* number) = parse_number;
};

constexpr Setting kSettings[] = {
    {"VTSHIM_CARRIERS", "CPUs", "1..256", "carriers that run virtual threads when none is stuck", 1, 256, nullptr,
     [](uint64_t n, const char*) { config.carriers = (unsigned)n; }},
    {"VTSHIM_MAX_CARRIERS", "256", "1..256", "carriers at most, with those that stand in for stuck ones", 1, 256, nullptr,
     [](uint64_t n, const char*) { config.max_carriers = (unsigned)n; }},
    {"VTSHIM_LOOPS", "1", "0..256", "threads with a busy event loop (epoll_wait) that get an OS thread of their own", 0, 256, nullptr,
     [](uint64_t n, const char*) { config.loops = (int)n; }},
    {"VTSHIM_TLS", "auto", "auto|arch_prctl|fsgsbase|swap", "how a thread area is mounted", 0, 0, kTls,
     [](uint64_t n, const char*) { config.tls = (TlsBackend)n; }},
    {"VTSHIM_FSGSBASE", "auto", "auto|no", "no: as on a host that lacks it, for tests and comparisons", 0, 0, kFsGsBase,
     [](uint64_t n, const char*) { config.fsgsbase = n != 0; }},
    {"VTSHIM_REACTOR", "auto", "auto|uring|readiness", "what threads wait for the kernel with; readiness: epoll, where io_uring can't be had", 0, 0, kReactor,
     [](uint64_t n, const char*) { config.reactor = (ReactorKind)n; }},
    {"VTSHIM_STACK", "RLIMIT_STACK", "16K..1G", "stack of threads whose attributes don't say", 16 << 10, 1 << 30, nullptr,
     [](uint64_t n, const char*) { config.stack = (size_t)n; }},
    {"VTSHIM_LOG", "warn", "off|warn|info|debug", "what to tell on stderr; info prints counters at exit", 0, 0, kLog,
     [](uint64_t n, const char*) { log_level = (LogLevel)n; }},
    {"VTSHIM_THREADS", "all", "all|none", "which threads are virtual", 0, 0, kThreads,
     [](uint64_t n, const char*) { config.threads = n != 0; }},
    {"VTSHIM_NATIVE_LIBS", Config{}.native_libs, "patterns, colon-separated", "libraries whose own threads stay native", 0, 0,
     nullptr, [](uint64_t, const char* text) { config.native_libs = text; }},
    {"VTSHIM_STEAL", "auto", "auto|lazy|quick", "when idle carriers take work; lazy suits a process with a GIL", 0, 0, kSteal,
     [](uint64_t n, const char*) { config.steal = (StealPolicy)n; }},
    {"VTSHIM_MAIN", "virtual", "virtual|native", "whether the main thread takes part as a virtual thread, bound to its OS thread", 0, 0, kMain,
     [](uint64_t n, const char*) { config.main_joins = n != 0; }},
    {"VTSHIM_PIN", "auto", "auto|callback|none", "what binds a thread to its OS thread; callback: also C code that calls back into Python", 0, 0,
     kPin, [](uint64_t n, const char*) { config.pin = (PinPolicy)n; }},
    {"VTSHIM_PIN_WARN", "0", "ms, 0 = off", "one line for a pin that lasts longer", 0, 1 << 30, nullptr,
     [](uint64_t n, const char*) { config.pin_warn = n; }},
    {"VTSHIM_PIN_LIBS", Config{}.pin_libs, "patterns, colon-separated", "libraries whose own threads are pinned", 0, 0, nullptr,
     [](uint64_t, const char* text) { config.pin_libs = text; }},
    {"VTSHIM_DUMP_SIGNAL", "0", "USR1, SIGUSR1, RTMIN+3, 1..64, 0 = off", "the signal that prints what each virtual thread does on stderr", 0, 64, nullptr,
     [](uint64_t n, const char*) { config.dump_signal = (int)n; }, parse_signal},
    {"VTSHIM_CHAOS", "0", "seed, 0 = off", "for tests: seeded yields, steals and delays at every park", 0, UINT64_MAX, nullptr,
     [](uint64_t n, const char*) { config.chaos = n; }},
};

void complain_of_unknown(const char* assignment, size_t length) noexcept {
  const Setting* nearest = nullptr;
  unsigned least = 5;  // letters; from there on it's another word
  for (const Setting& s : kSettings)
    if (unsigned d = edit_distance(assignment, length, s.name); d < least) nearest = &s, least = d;
  if (nearest) complain("unknown setting %s; do you mean %s?", assignment, nearest->name);
  else complain("unknown setting %s", assignment);
}

bool apply(const Setting& s, const char* value) noexcept {
  uint64_t n = 0;
  if (s.choices) {
    for (const Choice* c = s.choices; c->word; ++c)
      if (!strcmp(c->word, value)) return s.apply((uint64_t)c->value, value), true;
    return false;
  }
  if (s.high && (!s.parse(value, &n) || n < s.low || n > s.high)) return false;
  return s.apply(n, value), true;
}

}  // namespace

void read_config(char** environment) noexcept {
  constexpr char kPrefix[] = "VTSHIM_";
  for (char** e = environment; e && *e; ++e) {
    if (strncmp(*e, kPrefix, sizeof kPrefix - 1)) continue;
    const char* equals = strchr(*e, '=');
    if (!equals) continue;
    size_t length = (size_t)(equals - *e);
    const Setting* found = nullptr;
    for (const Setting& s : kSettings)
      if (strlen(s.name) == length && !strncmp(s.name, *e, length)) found = &s;
    if (!found && !strncmp(*e, "VTSHIM_TEST_", 12)) continue;  // the test runner's own
    if (!found)
      complain_of_unknown(*e, length);
    else if (!apply(*found, equals + 1))
      complain("%s: not in %s; the default (%s) holds", *e, found->range, found->fallback);
  }
}

const char* word_for(TlsBackend backend) noexcept {
  for (const Choice* c = kTls; c->word; ++c)
    if (c->value == (int)backend) return c->word;
  return "shared";
}

void each_setting(void (*line)(const char*, const char*, const char*, const char*)) noexcept {
  for (const Setting& s : kSettings) line(s.name, s.fallback, s.range, s.help);
}

namespace {
bool matches_one(const char* pattern, const char* end, const char* name) noexcept {
  for (; pattern != end; ++pattern) {
    if (*pattern == '*') {
      for (const char* rest = name;; ++rest) {
        if (matches_one(pattern + 1, end, rest)) return true;
        if (!*rest) return false;
      }
    }
    if (!*name || (*pattern != '?' && *pattern != *name)) return false;
    ++name;
  }
  return !*name;
}
}  // namespace

bool matches(const char* patterns, const char* name) noexcept {
  for (const char* p = patterns; *p;) {
    const char* end = strchrnul(p, ':');
    if (end != p && matches_one(p, end, name)) return true;
    p = *end ? end + 1 : end;
  }
  return false;
}

}  // namespace vt
