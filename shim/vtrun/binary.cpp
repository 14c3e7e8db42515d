#include "shim/vtrun/binary.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

namespace vtrun {
namespace {

/// A file's bytes; every access is checked, since the file may be damaged or made to deceive.
class Bytes {
 public:
  explicit Bytes(const char* path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return;
    struct stat s;
    if (fstat(fd, &s) == 0 && S_ISREG(s.st_mode)) {
      opened_ = true;
      void* p = s.st_size > 0 ? mmap(nullptr, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
      if (p != MAP_FAILED) data_ = (const char*)p, size_ = (size_t)s.st_size;
    }
    close(fd);
  }
  ~Bytes() {
    if (data_) munmap((void*)data_, size_);
  }
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;

  bool opened() const { return opened_; }
  size_t size() const { return size_; }
  /// False: not all of it lies in the file.
  template <class T>
  bool get(size_t at, T* value) const {
    if (at > size_ || sizeof(T) > size_ - at) return false;
    memcpy(value, data_ + at, sizeof(T));
    return true;
  }
  std::string text(size_t at, size_t most = 4096) const {
    if (at >= size_) return "";
    return std::string(data_ + at, strnlen(data_ + at, std::min(most, size_ - at)));
  }

 private:
  const char* data_ = nullptr;
  size_t size_ = 0;
  bool opened_ = false;
};

struct Dynamic {
  uint64_t strings = 0, symbols = 0;
  std::vector<uint64_t> needed;
};

class Elf {
 public:
  Elf(const Bytes& file, const Elf64_Ehdr& head) : file_(file) {
    for (unsigned i = 0; i < head.e_phnum; ++i) {
      Elf64_Phdr p;
      if (!file.get(head.e_phoff + (uint64_t)i * head.e_phentsize, &p)) break;
      headers_.push_back(p);
    }
  }

  std::string loader() const {
    const Elf64_Phdr* p = header(PT_INTERP);
    return p ? file_.text(p->p_offset, p->p_filesz) : "";
  }
  bool has_dynamic() const { return header(PT_DYNAMIC); }

  Dynamic dynamic() const {
    Dynamic d;
    const Elf64_Phdr* p = header(PT_DYNAMIC);
    for (uint64_t at = p ? p->p_offset : 0, end = p ? at + std::min<uint64_t>(p->p_filesz, 1 << 20) : 0; at < end; at += sizeof(Elf64_Dyn)) {
      Elf64_Dyn entry;
      if (!file_.get(at, &entry) || entry.d_tag == DT_NULL) break;
      switch (entry.d_tag) {
        case DT_STRTAB: d.strings = offset_of(entry.d_un.d_ptr); break;
        case DT_SYMTAB: d.symbols = offset_of(entry.d_un.d_ptr); break;
        case DT_NEEDED: d.needed.push_back(entry.d_un.d_val); break;
      }
    }
    return d;
  }

  /// Does the file define a dynamic symbol of one of these names? Which: its index; -1: none.
  int defines(const Dynamic& d, const std::vector<const char*>& names) const {
    if (!d.symbols || !d.strings) return -1;
    // The tables of symbols and strings follow each other, in this order, in every linker's output.
    uint64_t most = d.strings > d.symbols ? (d.strings - d.symbols) / sizeof(Elf64_Sym) : 1 << 16;
    for (uint64_t i = 1; i < std::min<uint64_t>(most, 1 << 20); ++i) {
      Elf64_Sym s;
      if (!file_.get(d.symbols + i * sizeof s, &s)) break;
      if (s.st_shndx == SHN_UNDEF) continue;
      char start[2];
      if (!file_.get(d.strings + s.st_name, &start) || start[0] != '_' || start[1] != '_') continue;
      std::string name = file_.text(d.strings + s.st_name, 64);
      for (size_t n = 0; n < names.size(); ++n)
        if (name == names[n]) return (int)n;
    }
    return -1;
  }

 private:
  const Elf64_Phdr* header(uint32_t type) const {
    for (const Elf64_Phdr& p : headers_)
      if (p.p_type == type) return &p;
    return nullptr;
  }
  uint64_t offset_of(uint64_t address) const {
    for (const Elf64_Phdr& p : headers_)
      if (p.p_type == PT_LOAD && address >= p.p_vaddr && address - p.p_vaddr < p.p_filesz) return address - p.p_vaddr + p.p_offset;
    return 0;
  }

  const Bytes& file_;
  std::vector<Elf64_Phdr> headers_;
};

bool begins(const std::string& s, const char* with) { return s.compare(0, strlen(with), with) == 0; }

struct Sanitizer {
  const char *name, *library, *symbol;
};
constexpr Sanitizer kSanitizers[] = {{"AddressSanitizer", "libasan.so", "__asan_init"},
                                     {"ThreadSanitizer", "libtsan.so", "__tsan_init"},
                                     {"MemorySanitizer", "", "__msan_init"},
                                     {"HWAddressSanitizer", "libhwasan.so", "__hwasan_init"}};

void look_at_elf(const Bytes& file, Binary* b) {
  Elf64_Ehdr head;
  if (!file.get(0, &head)) return;
  b->kind = Kind::kElf;
  b->is_64_bit_x86 = head.e_ident[EI_CLASS] == ELFCLASS64 && head.e_machine == EM_X86_64;
  if (!b->is_64_bit_x86) return;
  Elf elf(file, head);
  b->loader = elf.loader();
  std::string own_name = b->path.substr(b->path.rfind('/') + 1), loader_name = b->loader.substr(b->loader.rfind('/') + 1);
  b->is_static = b->loader.empty() && !begins(own_name, "ld-") && (head.e_type == ET_EXEC || elf.has_dynamic());  // ld.so itself preloads
  b->libc = b->is_static ? Libc::kNone : begins(loader_name, "ld-musl") ? Libc::kMusl : begins(loader_name, "ld-linux") ? Libc::kGlibc : Libc::kUnknown;
  Dynamic d = elf.dynamic();
  for (uint64_t at : d.needed)
    if (d.strings) b->needed.push_back(file.text(d.strings + at, 256));
  std::vector<const char*> symbols;
  for (const Sanitizer& s : kSanitizers) {
    symbols.push_back(s.symbol);
    for (const std::string& library : b->needed)
      if (*s.library && begins(library, s.library)) b->sanitizer = s.name;
  }
  if (int found = b->sanitizer.empty() ? elf.defines(d, symbols) : -1; found >= 0) b->sanitizer = kSanitizers[found].name;
}

/// Valgrind, which Debian starts by a script.
bool watches_instructions(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  return name == "valgrind" || name == "valgrind.bin";
}

void look_at_script(const Bytes& file, Binary* b) {
  b->kind = Kind::kScript;
  std::string line = file.text(2, 254);
  line = line.substr(0, line.find('\n'));
  std::vector<std::string> words;
  for (size_t at = 0; (at = line.find_first_not_of(" \t\r", at)) != std::string::npos;) {
    size_t end = std::min(line.find_first_of(" \t\r", at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end;
  }
  if (words.empty()) return;
  b->script_interpreter = words[0];
  if (words[0].substr(words[0].rfind('/') + 1) != "env") return;
  // env X, env -S X ..., env NAME=VALUE X
  for (size_t i = 1; i < words.size(); ++i) {
    if (words[i][0] == '-' || words[i].find('=') != std::string::npos) continue;
    bool denied;
    if (std::string found = find_program(words[i], &denied); !found.empty()) b->script_interpreter = found;
    return;
  }
}

}  // namespace

std::string find_program(const std::string& name, bool* denied) {
  struct stat s;
  *denied = false;
  auto usable = [&](const std::string& path) {
    if (stat(path.c_str(), &s) != 0) return false;
    if (S_ISREG(s.st_mode) && access(path.c_str(), X_OK) == 0) return true;
    *denied = true;
    return false;
  };
  if (name.find('/') != std::string::npos) return usable(name) ? name : "";
  const char* path = getenv("PATH");
  std::string dirs = path ? path : "/usr/local/bin:/usr/bin:/bin";
  for (size_t at = 0; at <= dirs.size();) {
    size_t end = std::min(dirs.find(':', at), dirs.size());
    std::string dir = dirs.substr(at, end - at);
    std::string full = (dir.empty() ? "." : dir) + "/" + name;
    if (usable(full)) return full;
    at = end + 1;
  }
  return "";
}

Binary look_at(const std::string& path) {
  Binary b;
  b.path = path;
  struct stat s;
  if (stat(path.c_str(), &s) == 0) {
    b.is_setuid = (s.st_mode & S_ISUID) && s.st_uid != geteuid();
    b.is_setgid = (s.st_mode & S_ISGID) && s.st_gid != getegid();
  }
  b.has_capabilities = getxattr(path.c_str(), "security.capability", nullptr, 0) > 0 && geteuid() != 0;
  Bytes file(path.c_str());
  b.readable = file.opened();
  char magic[SELFMAG] = {};
  file.get(0, &magic);
  if (!memcmp(magic, ELFMAG, SELFMAG)) look_at_elf(file, &b);
  else if (magic[0] == '#' && magic[1] == '!') look_at_script(file, &b);
  return b;
}

Binary look_behind_scripts(const std::string& path) {
  Binary b = look_at(path);
  if (watches_instructions(path)) return b;
  for (int depth = 0; depth < 4 && b.kind == Kind::kScript && !b.script_interpreter.empty(); ++depth) b = look_at(b.script_interpreter);
  return b;
}

std::string obstacle(const Binary& b) {
  if (b.is_setuid) return "is setuid, and ld.so preloads nothing there; run it as its owner to have it virtual";
  if (b.is_setgid) return "is setgid, and ld.so preloads nothing there; run it with its group to have it virtual";
  if (b.has_capabilities) return "has file capabilities, and ld.so preloads nothing there; give them to the process (setpriv, systemd's AmbientCapabilities) instead";
  if (watches_instructions(b.path)) return "runs native threads one at a time, to watch each instruction; what runs in it has native threads, too";
  if (b.kind != Kind::kElf) return "";
  if (!b.is_64_bit_x86) return "is for another machine than 64-bit x86; build it for x86-64";
  if (b.is_static) return "is statically linked; link it dynamically to have it virtual";
  if (b.libc == Libc::kMusl) return "uses musl, not glibc; a build for glibc (Debian's, say) can be virtual";
  // Behind libasan ours would run, but LD_PRELOAD then brings that into every child, whose leaks it reports.
  if (!b.sanitizer.empty()) return "is built with " + b.sanitizer + ", which has threads of its own kind; build it without to have it virtual";
  return "";
}

}  // namespace vtrun
