// vtrun PROGRAM ARGS…: puts the library in front of LD_PRELOAD and execs the program. Nothing of vtrun is left behind.
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "runtime/base/config.h"
#include "shim/vtrun/binary.h"
#include "shim/vtrun/doctor.h"

namespace {

std::string library() {
  char self[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n > 0) {
    std::string path(self, (size_t)n);
    path.replace(path.rfind('/') + 1, std::string::npos, "libvtshim.so");
    if (access(path.c_str(), R_OK) == 0) return path;
  }
  return VTSHIM_LIBDIR "/libvtshim.so";
}

/// Lets Python find the module `vtshim`, which lies in a folder of its own, behind what the user has on PYTHONPATH.
void offer_module(const std::string& lib) {
  std::string here = lib.substr(0, lib.rfind('/') + 1);
  for (const char* folder : {"pyglue", "vtshim"}) {  // in the build folder, installed
    std::string dir = here + folder;
    if (access((dir + "/vtshim.abi3.so").c_str(), R_OK) != 0) continue;
    const char* before = getenv("PYTHONPATH");
    std::string all = before && *before ? before : "";
    if ((":" + all + ":").find(":" + dir + ":") != std::string::npos) return;
    setenv("PYTHONPATH", (all.empty() ? dir : all + ":" + dir).c_str(), 1);
    return;
  }
}

void usage(FILE* out) {
  fputs(
      "usage: vtrun [--] PROGRAM [ARGS...]\n"
      "       vtrun doctor [--json] [PROGRAM]\n"
      "Runs PROGRAM with every thread a virtual thread. `doctor` says what stands in the way of that, and what to do\n"
      "about it. (A program of that name: vtrun -- doctor.)\n"
      "  --help     this text\n  --version  the version\n"
      "Settings, in the environment:\n",
      out);
  static FILE* to;
  to = out;
  vt::each_setting([](const char* name, const char* fallback, const char* range, const char* help) {
    fprintf(to, "  %s (%s; %s)\n      %s\n", name, range, fallback, help);
  });
}

}  // namespace

int main(int argc, char** argv) {
  int at = 1;
  if (at < argc && !strcmp(argv[at], "--help")) return usage(stdout), 0;
  if (at < argc && !strcmp(argv[at], "--version")) return puts("vtrun " VTSHIM_VERSION), 0;
  if (at < argc && !strcmp(argv[at], "--"))
    ++at;
  else if (at < argc && !strcmp(argv[at], "doctor"))
    return vtrun::doctor(argc - at - 1, argv + at + 1, library().c_str());
  else if (at < argc && argv[at][0] == '-')
    return fprintf(stderr, "vtrun: unknown option %s\n", argv[at]), usage(stderr), 2;
  if (at >= argc) return usage(stderr), 2;

  bool denied = false;
  std::string path = vtrun::find_program(argv[at], &denied);
  if (path.empty()) {
    fprintf(stderr, "vtrun: %s: %s\n", argv[at], denied ? "permission denied" : "not found");
    return denied ? 126 : 127;
  }
  std::string lib = library();
  vtrun::Binary binary = vtrun::look_behind_scripts(path);
  if (std::string why = vtrun::obstacle(binary); !why.empty()) {
    fprintf(stderr, "vtrun: %s %s. It runs with native threads.\n", binary.path == path ? argv[at] : binary.path.c_str(), why.c_str());
  } else if (access(lib.c_str(), R_OK) != 0) {
    fprintf(stderr, "vtrun: %s is missing; %s runs with native threads\n", lib.c_str(), argv[at]);
  } else if (lib.find_first_of(" :") != std::string::npos) {
    fprintf(stderr, "vtrun: LD_PRELOAD can't take a path with a space or colon (%s); %s runs with native threads\n", lib.c_str(), argv[at]);
  } else {
    const char* before = getenv("LD_PRELOAD");
    setenv("LD_PRELOAD", before && *before ? (lib + ":" + before).c_str() : lib.c_str(), 1);
  }
  offer_module(lib);
  execv(path.c_str(), argv + at);
  if (errno == ENOEXEC) {  // a script without #!, as a shell runs it
    std::vector<char*> shell{const_cast<char*>("/bin/sh"), const_cast<char*>(path.c_str())};
    for (int i = at + 1; i <= argc; ++i) shell.push_back(argv[i]);
    execv("/bin/sh", shell.data());
  }
  fprintf(stderr, "vtrun: %s: %s\n", argv[at], strerror(errno));
  return errno == ENOENT ? 127 : 126;
}
