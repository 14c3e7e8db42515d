// The runtime linked into a program, so that sanitizers see it: data structures alone, and whole scenarios on real carriers.
// With VTSHIM_TLS=shared (set here) every thread stays on its carrier's own thread area: what sanitizers and doctest keep in TLS
// then belongs to the OS thread, as they expect.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <stdlib.h>

#include "api.h"
#include "base/config.h"

int main(int argc, char** argv) {
  vt::boot();
  vt::config.tls = vt::TlsBackend::kShared;
  if (!vt::config.carriers) vt::config.carriers = 4;  // VTSHIM_CARRIERS says: the runner tries 1, 2 and 4
  int failed = doctest::Context(argc, argv).run();
  exit(failed);
}
