// What a program's file says of how it can run: its kind, its C library, sanitizers, privileges. Reads the file only; runs nothing.
#pragma once

#include <string>
#include <vector>

namespace vtrun {

enum class Kind { kUnknown, kElf, kScript };
enum class Libc { kUnknown, kGlibc, kMusl, kNone };

struct Binary {
  std::string path;
  Kind kind = Kind::kUnknown;
  bool readable = true;
  bool is_64_bit_x86 = true;
  bool is_static = false;
  bool is_setuid = false, is_setgid = false, has_capabilities = false;
  Libc libc = Libc::kUnknown;
  std::string loader;               // PT_INTERP
  std::vector<std::string> needed;  // DT_NEEDED
  std::string sanitizer;            // "AddressSanitizer", ...; empty: none seen
  std::string script_interpreter;   // kScript: what runs it, as found on PATH for env
};

/// As far as the file tells; a file that is damaged or can't be read tells less.
Binary look_at(const std::string& path);
/// The program that runs in the end: a script's interpreter, and its, up to four deep.
Binary look_behind_scripts(const std::string& path);
/// Why the program can't be virtual, and what to do; empty: nothing that the file tells stands against it.
std::string obstacle(const Binary& b);
/// As a shell looks a command up. Empty: not found; *denied tells whether something unexecutable was.
std::string find_program(const std::string& name, bool* denied);

}  // namespace vtrun
