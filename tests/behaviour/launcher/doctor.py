"""vtrun doctor: text and JSON say the same, the exit status tells whether there is a problem, forbidden io_uring is noticed whether its set-up or only its use
is forbidden, and each kind of program gets its line. `vtrun --help` lists every setting."""
import json, os, re, shutil, subprocess, sys, tempfile
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
VTRUN = os.path.join(TOP, "build/vtrun")
env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD" and not k.startswith("VTSHIM_")}
FORBID = r"""
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(int count, char** arguments) {  /* forbid NUMBER ERRNO PROGRAM ... */
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)atoi(arguments[1]), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)atoi(arguments[2])),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {4, filter};
  if (count < 4 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) return 99;
  execv(arguments[3], arguments + 3);
  return 98;
}
"""


def doctor(*arguments, before=()):
    r = subprocess.run([*before, VTRUN, "doctor", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, env=env)
    return r.returncode, r.stdout, r.stderr


def checks(*arguments, before=()):
    status, text, errors = doctor("--json", *arguments, before=before)
    assert not errors, errors
    found = json.loads(text)["checks"]
    assert all(set(c) == {"name", "status", "text", "advice"} and c["status"] in ("ok", "note", "problem") for c in found), found
    assert status == any(c["status"] == "problem" for c in found), (status, found)
    return {c["name"]: c for c in found}


status, text, errors = doctor()
assert status in (0, 1) and not errors, (status, errors)
assert all(re.match(r"(ok|note|problem) +[\w ]+: |        -> ", line) for line in text.splitlines()), text
here = checks()
for name in ("kernel", "io_uring", "switch", "glibc", "descriptors", "OS threads", "mappings", "vtshim"):
    assert name in here and name + ": " in text, (name, text)
assert checks(sys.executable)["program"]["status"] == "ok"
assert checks("/nonexistent")["program"]["status"] == "problem"
assert checks(os.fsdecode(b"/tmp/\xff\xfe"))["program"]["status"] == "problem"
assert doctor("--nonsense")[0] == 2 and doctor("a", "b")[0] == 2
with tempfile.TemporaryDirectory() as folder:
    def build(name, text, *flags):
        with open(os.path.join(folder, name + ".c"), "w") as f: f.write(text)
        subprocess.run(["gcc", *flags, os.path.join(folder, name + ".c"), "-o", os.path.join(folder, name)], check=True, env=env)
        return os.path.join(folder, name)
    plain, static = "int main(void) { return 0; }", ["-static"]
    found = checks(build("static", plain, *static))["program"]
    assert found["status"] == "problem" and "static" in found["text"] and found["advice"], found
    forbid = build("forbid", FORBID)
    for number, call in ((425, "io_uring_setup"), (426, "io_uring_enter")):
        for error, words in ((1, "not permitted"), (38, "not implemented")):
            found = checks(before=(forbid, str(number), str(error)))["io_uring"]
            assert found["status"] == "note" and call in found["text"] and words in found["text"] and "seccomp" in found["advice"], found
r = subprocess.run([VTRUN, "--help"], stdout=subprocess.PIPE, text=True, env=env, check=True)
with open(os.path.join(TOP, "runtime/base/config.cpp")) as f: names = set(re.findall(r'\{"(VTSHIM_\w+)"', f.read()))
assert len(names) > 10 and all(name in r.stdout for name in names), names
# A program of that name.
assert subprocess.run([VTRUN, "--", "doctor"], stderr=subprocess.PIPE, env=env).returncode == 127
print(f"{len(here)} checks")
