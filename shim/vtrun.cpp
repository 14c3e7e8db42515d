// vtrun PROGRAM ARGS…: puts the library in front of LD_PRELOAD and execs the program. Nothing of vtrun is left behind.
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

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

/// As a shell looks a command up. Empty: not found; *denied tells whether something unexecutable was.
std::string resolve(const char* name, bool* denied) {
  struct stat s;
  auto usable = [&](const std::string& path) {
    if (stat(path.c_str(), &s) != 0) return false;
    if (S_ISREG(s.st_mode) && access(path.c_str(), X_OK) == 0) return true;
    *denied = true;
    return false;
  };
  if (strchr(name, '/')) return usable(name) ? name : "";
  const char* path = getenv("PATH");
  std::string dirs = path ? path : "/usr/local/bin:/usr/bin:/bin";
  for (size_t at = 0; at <= dirs.size();) {
    size_t end = dirs.find(':', at);
    if (end == std::string::npos) end = dirs.size();
    std::string dir = dirs.substr(at, end - at);
    std::string full = (dir.empty() ? "." : dir) + "/" + name;
    if (usable(full)) return full;
    at = end + 1;
  }
  return "";
}

/// Why the program can't be virtual; null if it can, as far as its file tells.
const char* obstacle(const std::string& path, int depth = 0) {
  struct stat s;
  if (stat(path.c_str(), &s) == 0) {
    if ((s.st_mode & S_ISUID) && s.st_uid != geteuid()) return "is setuid";
    if ((s.st_mode & S_ISGID) && s.st_gid != getegid()) return "is setgid";
  }
  FILE* f = fopen(path.c_str(), "re");
  if (!f) return nullptr;
  char head[4096] = {};
  size_t n = fread(head, 1, sizeof head - 1, f);
  fclose(f);
  if (n > 2 && head[0] == '#' && head[1] == '!' && depth < 4) {
    std::string line(head + 2, strcspn(head + 2, "\n"));
    size_t from = line.find_first_not_of(" \t");
    if (from == std::string::npos) return nullptr;
    return obstacle(line.substr(from, line.find_first_of(" \t", from) - from), depth + 1);
  }
  auto* elf = reinterpret_cast<Elf64_Ehdr*>(head);
  if (n < sizeof *elf || memcmp(elf->e_ident, ELFMAG, SELFMAG)) return nullptr;
  if (elf->e_ident[EI_CLASS] != ELFCLASS64 || elf->e_machine != EM_X86_64) return "is for another machine";
  for (int i = 0; i < elf->e_phnum; ++i) {
    size_t at = elf->e_phoff + (size_t)i * elf->e_phentsize;
    if (at + sizeof(Elf64_Phdr) > n) return nullptr;
    if (reinterpret_cast<Elf64_Phdr*>(head + at)->p_type == PT_INTERP) return nullptr;
  }
  return "is statically linked";
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
      "Runs PROGRAM with every thread a virtual thread. Settings are VTSHIM_* in the environment; see README.\n"
      "  --help     this text\n  --version  the version\n",
      out);
}

}  // namespace

int main(int argc, char** argv) {
  int at = 1;
  if (at < argc && !strcmp(argv[at], "--help")) return usage(stdout), 0;
  if (at < argc && !strcmp(argv[at], "--version")) return puts("vtrun " VTSHIM_VERSION), 0;
  if (at < argc && !strcmp(argv[at], "--"))
    ++at;
  else if (at < argc && argv[at][0] == '-')
    return fprintf(stderr, "vtrun: unknown option %s\n", argv[at]), usage(stderr), 2;
  if (at >= argc) return usage(stderr), 2;

  bool denied = false;
  std::string path = resolve(argv[at], &denied);
  if (path.empty()) {
    fprintf(stderr, "vtrun: %s: %s\n", argv[at], denied ? "permission denied" : "not found");
    return denied ? 126 : 127;
  }
  std::string lib = library();
  if (const char* why = obstacle(path)) {
    fprintf(stderr, "vtrun: %s %s; it runs with native threads\n", argv[at], why);
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
