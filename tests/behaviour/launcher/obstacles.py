"""vtrun and what can't be virtual: one line that says what and why, and the program's own output and exit status. Programs are built here; what
needs a compiler or tool that isn't installed is left out, by name."""
import os, shutil, struct, subprocess, sys, tempfile
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
VTRUN = os.path.join(TOP, "build/vtrun")
PROGRAM = r"""
#include <pthread.h>
#include <stdio.h>
static void* body(void* arg) { return arg; }
int main(int count, char** arguments) {
  pthread_t thread;
  void* got = 0;
  if (pthread_create(&thread, 0, body, arguments) || pthread_join(thread, &got)) return 1;
  printf("%d %s\n", count, got == arguments ? arguments[count - 1] : "lost");
  return 7;
}
"""
env = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "PYTHONPATH") and not k.startswith("VTSHIM_")}
left_out = []
checked = 0


def run(*argv, **more):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, env=env, **more)


def check(program, words, *, status=7, output="2 x y\n", first=None, **more):
    """One line on stderr with these words, all in it; none if there are none."""
    global checked
    checked += 1
    r = run(VTRUN, *([first] if first else []), program, "x y", **more)
    lines = r.stderr.splitlines()
    if first: lines = [line for line in lines if line.startswith("vtrun:")]
    what = f"{first or ''} {program}: exit {r.returncode}, {r.stdout!r}, {r.stderr!r}"
    assert r.returncode == status, what
    assert output is None or r.stdout == output, what
    assert len(lines) == (1 if words else 0), what
    if words: assert lines[0].startswith("vtrun:") and all(word in lines[0] for word in words), what


def build(name, compiler, *flags):
    """Null where it can't be built here."""
    out = os.path.join(folder, name)
    if shutil.which(compiler) and subprocess.run([compiler, "-pthread", *flags, source, "-o", out], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0 \
            and run(out, "x y").stdout == "2 x y\n":
        return out
    left_out.append(name)
    return None


def script(name, first_line):
    out = os.path.join(folder, name)
    with open(out, "w") as f: f.write(first_line + "\n")
    os.chmod(out, 0o755)
    return out


with tempfile.TemporaryDirectory() as folder:
    os.chmod(folder, 0o755)
    source = os.path.join(folder, "program.c")
    with open(source, "w") as f: f.write(PROGRAM)
    plain = build("plain", "gcc")
    check(plain, [])
    for name, compiler, flags, words in (
            ("static", "gcc", ["-static"], ["statically linked"]), ("static_pie", "gcc", ["-static-pie"], ["statically linked"]),
            ("musl", "musl-gcc", [], ["musl"]), ("tsan", "gcc", ["-fsanitize=thread"], ["ThreadSanitizer"]),
            ("msan", "clang", ["-fsanitize=memory"], ["MemorySanitizer"]), ("clang_asan", "clang", ["-fsanitize=address"], ["AddressSanitizer"]),
            ("asan", "gcc", ["-fsanitize=address"], ["AddressSanitizer"]),
    ):
        if program := build(name, compiler, *flags):
            check(program, words and words + ["native threads"])
            if name == "static":
                check(script("by_script", f"#!{program}"), ["statically linked"], output=None)
    # A folder on PATH through env.
    if os.path.exists(os.path.join(folder, "static")):
        env["PATH"] = folder + ":" + env.get("PATH", "/usr/bin:/bin")
        check(script("by_env", "#!/usr/bin/env static"), ["statically linked"], output=None)
    if shutil.which("valgrind"): check(plain, ["native threads"], first="valgrind", output=None)
    else: left_out.append("valgrind")
    # Privileges count for who hasn't them yet.
    if os.geteuid() == 0 and shutil.which("setpriv"):
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        vtrun = os.path.join(folder, "vtrun")
        for name in ("vtrun", "libvtshim.so"): shutil.copy(os.path.join(TOP, "build", name), folder)
        for name, words, change in (("setuid", ["setuid"], lambda p: os.chmod(p, 0o4755)), ("setgid", ["setgid"], lambda p: os.chmod(p, 0o2755)),
                                    ("capable", ["capabilities"], lambda p: subprocess.run(["setcap", "cap_net_bind_service+ep", p], check=True))):
            if name == "capable" and not shutil.which("setcap"):
                left_out.append(name)
                continue
            program = os.path.join(folder, name)
            shutil.copy(plain, program)
            try:
                change(program)
            except subprocess.CalledProcessError:
                left_out.append(name)
                continue
            r = run(*nobody, vtrun, program, "x y")
            assert (r.returncode, r.stdout) == (7, "2 x y\n") and r.stderr.count("\n") == 1 and words[0] in r.stderr, (name, r)
            checked += 1
        unreadable = os.path.join(folder, "unreadable")
        shutil.copy(plain, unreadable)
        os.chmod(unreadable, 0o711)
        r = run(*nobody, vtrun, unreadable, "x y")
        assert (r.returncode, r.stdout, r.stderr) == (7, "2 x y\n", ""), r
        checked += 1
    else:
        left_out.append("privileges")
    # Damaged files: the launcher doesn't fall over them. What runs then is the kernel's and the shell's to say.
    whole = open(plain, "rb").read()
    for at, value in ((32, b"\xff" * 8), (54, b"\xff\xff"), (56, b"\xff\xff"), (40, b"\xf0" * 8)):
        damaged = os.path.join(folder, f"damaged{at}")
        with open(damaged, "wb") as f: f.write(whole[:at] + value + whole[at + len(value):])
        os.chmod(damaged, 0o755)
        r = run(VTRUN, damaged, "x y")
        assert r.returncode in (7, 126, 127, 2, 1), (damaged, r)
    for size in (0, 4, 63, 64, 100, 700):
        damaged = os.path.join(folder, f"cut{size}")
        with open(damaged, "wb") as f: f.write(whole[:size])
        os.chmod(damaged, 0o755)
        r = run(VTRUN, damaged, "x y")
        assert r.returncode in (0, 126, 127, 2, 1), (damaged, r)
    head = bytearray(whole[:4096])
    head[4], head[18:20] = 1, struct.pack("<H", 3)  # ELFCLASS32, EM_386
    other = os.path.join(folder, "other_machine")
    with open(other, "wb") as f: f.write(head)
    os.chmod(other, 0o755)
    r = run(VTRUN, other)
    assert "64-bit x86" in r.stderr.splitlines()[0], r
    for argv, status, words in (([], 2, "usage"), (["--nonsense"], 2, "unknown option"), (["/nonexistent"], 127, "not found"), ([folder], 126, "permission denied")):
        r = run(VTRUN, *argv)
        assert r.returncode == status and words in r.stderr, (argv, r)
print(f"{checked} programs; left out: {', '.join(left_out) or 'none'}")
